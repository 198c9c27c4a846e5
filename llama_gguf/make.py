"""From a model folder to quantized files, and a card that says how they were made.

    make("SmolLM2-135M", "out", ["Q4_K_M", "IQ2_XS"], text="calibration.txt")

Converted (or taken as it is, where the source is GGUF), measured for importance, quantized, checked beside the
original: each step is a function of its own elsewhere, put together here. Every file is whole when it appears.
"""

import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import cards, catalogue
from .errors import Cancelled, ModelError
from .gguf import GGUFFile, Metadata
from .gguf.atomic import alive, check_output
from .gguf.shards import parse_name
from .gguf.split import split
from .makeable import check_plain, located
from .quantize.filetypes import COPY, FILE_TYPES
from .quantize.imatrix import CHUNK, Imatrix
from .quantize.plan import check_importance
from .quantize.recipes import NEEDED, known_file_type

TEXTS = ("config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json")
"""Files of a folder, beside its tensors, that say what a model is."""
WINDOW, WINDOWS = 128, 4  # tokens and number of the windows on which files are compared
TEXT = """The library opened at nine, and by ten every seat near the windows was taken. Rain had been falling since
before dawn; it ran down the glass in long crooked lines and made the street outside look like a painting that somebody
had left in the wet. An old man read the newspaper from the last page to the first, as he did every morning. "You learn
how it ends," he used to say, "and then you find out why."

Water boils at 100 degrees Celsius at sea level, but at lower temperatures in the mountains, because the pressure of the
air falls with height. At 3,000 metres it boils at about 90 degrees, which is why rice takes longer to cook there. The
same law explains why a pressure cooker is fast: inside it water reaches 120 degrees before it turns to steam.

def mean(values):
    total = 0.0
    for value in values:
        total += value
    return total / len(values) if values else float("nan")

In 1859 Charles Darwin published a book that he had been writing for twenty years. All 1,250 copies of the first edition
were sold to booksellers on the first day. He had not expected that; neither had his publisher, who had thought that 500
would do, and who had advised him to write about pigeons instead.
"""
"""What files are compared on: prose, facts, code and numbers, and not what importance was measured on."""


@dataclass
class Making:
    """What `make` was asked for, and what it has made: `files` are dicts as they stand in the card."""

    source: str
    folder: Path
    types: list
    name: str | None = None
    n_threads: int | None = None
    force: bool = False
    progress: object = None
    cancel: object = None
    origin: dict = field(default_factory=dict)
    imatrix: Imatrix | None = None
    text: str | None = None
    max_size: int | None = None
    measured: dict | None = None
    issues: dict = field(default_factory=dict)
    files: list = field(default_factory=list)

    def tell(self, stage, done=0, total=1):
        """Progress of a stage; Cancelled where somebody wants no more."""
        if self.cancel and self.cancel():
            raise Cancelled("making was cancelled; the files that are there are whole")
        if self.progress:
            self.progress(stage, done, total)

    def path(self, kind, suffix=".gguf"):
        return self.folder / f"{self.name}-{kind}{suffix}"

    def check_importance(self, tensors, metadata):
        if self.text is None:
            check_importance(self.types, tensors.values(), metadata, self.imatrix)

    def too_large(self, path):
        return self.max_size is not None and path.stat().st_size > self.max_size


def make(
    source, folder, types, *, imatrix=None, text=None, chunks=None, name=None, keep=False, max_size=None,
    n_threads=None, force=False, progress=None, cancel=None,
):
    """Make a GGUF file of each of `types` in `folder`, with README.md and card.json; the card, a dict.

    source: a Hugging Face folder, a GGUF file in F32, F16 or BF16, or a NAME on the Hub of either. imatrix: a file of
    an importance matrix; text: a text file to make one of, from `chunks` chunks at most. name: the files' names begin
    with it; None: as the model is called. keep: the converted file as well, whole. max_size: bytes of a file, larger
    ones are split. progress(stage, done, total); cancel() true raises Cancelled. What can be refused is, before
    anything is written.
    """
    types = [known_file_type(kind) for kind in types]
    if not types or len(set(types)) != len(types) or COPY in types:
        raise ModelError(f"give some different types to make, not {', '.join(types) or 'none'}")
    job = Making(str(source), Path(folder), types, name and cards.plain_name(name), n_threads, force, progress, cancel)
    _need_importance(types, imatrix, text)
    words = _read(text)
    job.imatrix, job.text, job.max_size = Imatrix.load(imatrix) if imatrix else None, text, max_size
    where, converted, job.origin = located(job.source, job.tell)
    with ExitStack() as stack:
        if not job.folder.exists():
            stack.callback(_remove_empty, job.folder)
        rough = Path(stack.enter_context(_rough(job.folder)))
        original = _original(job, where, converted, rough, keep)
        if words is not None:
            job.imatrix = _measure(job, original, words, text, chunks)
        _check_plans(job, original)
        for kind in types:
            _quantize(job, original, kind, rough)
        _compare(job, original, rough)
    return cards.write(job, keep and converted)


def _rough(folder):
    """A folder for what is not to stay, beside the files; those of runs that were killed go."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".making-*-*"):
        pid = left.name.split("-")[1]
        if pid.isdecimal() and not alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f".making-{os.getpid()}-", dir=folder)


def _remove_empty(folder):
    """A folder in which nothing was made need not stay."""
    with suppress(OSError):  # it holds something
        folder.rmdir()


def _need_importance(types, imatrix, text):
    """Refuse at once what could only be refused after hours."""
    if imatrix and text:
        raise ModelError("an importance matrix is loaded or made of a text, not both")
    needing = [kind for kind in types if FILE_TYPES[kind].base in NEEDED]
    if needing and not (imatrix or text):
        raise ModelError(f"{', '.join(needing)} want an importance matrix: give one, or a text to make it of")


def _read(text):
    if text is None:
        return None
    try:
        return Path(text).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"is not UTF-8 text ({error.reason})", path=str(text)) from None


def _original(job, where, converted, rough, keep):
    """The path of the file to quantize; its name, and where it is from, are known from now on."""
    if not converted:
        with GGUFFile(where) as file:
            check_plain(file)
            job.name = job.name or cards.plain_name(file.metadata.get("general.name") or _without_type(where.stem))
            job.check_importance(file.tensors, file.metadata)
            job.origin["files"] = [cards.described(path) for path in file.paths]
        _check_outputs(job)
        return where
    from .convert import Conversion

    plan = Conversion(where, name=job.name)
    job.name = cards.plain_name(plan.metadata["general.name"].value)
    job.origin |= {"converted_to": plan.type, "notes": plan.notes}
    job.check_importance(plan.shapes(), Metadata.of(plan.metadata))
    _check_outputs(job, [plan.type] if keep else [])
    job.tell("convert")
    paths = {Path(s.path) for s in plan.sources.values()} | {where / name for name in TEXTS if (where / name).is_file()}
    job.origin["files"] = [cards.described(path) for path in sorted(paths)]
    path, final = rough / job.path(plan.type).name, job.path(plan.type)
    plan.write(path, job.force, lambda done, total: job.tell("convert", done, total))
    if keep or (plan.type in job.types and not job.too_large(path)):
        os.replace(path, final)
        return final
    return path


def _without_type(stem):
    found = catalogue.QUANT.search(stem)
    return stem[: found.start()].rstrip("-._") if found else stem


def _check_outputs(job, more=()):
    """Everything that will be written, before anything is."""
    names = [job.path(kind) for kind in dict.fromkeys([*job.types, *more, *["imatrix"] * (job.text is not None)])]
    if job.max_size is not None and job.folder.is_dir():  # how many shards there will be is not known yet
        stems = {job.path(kind).stem for kind in job.types}
        found = [(parse_name(name), name) for name in sorted(os.listdir(job.folder))]
        names += [job.folder / name for shard, name in found if shard and shard[0] in stems]
    for path in (*names, job.folder / "README.md", job.folder / "card.json"):
        check_output(path, None, job.force)


def _measure(job, original, words, text, chunks):
    """An importance matrix of the original, written beside the files to come."""
    from .model import Model
    from .quantize.collect import collect

    def told(done, total, *_):
        job.tell("importance", done, total)

    path = job.path("imatrix")
    with Model(original, n_ctx=CHUNK, n_threads=job.n_threads) as model:
        found = collect(model, words, chunks=chunks, perplexity=False, progress=told, dataset=os.path.basename(text))
    found.save(path, job.force)
    job.measured = cards.described(path) | {"text": cards.described(Path(text))}
    return Imatrix.load(path)


def _check_plans(job, original):
    """Refuse what cannot be quantized before the first file is; note what may go wrong with the others."""
    from .checks import compatibility_issues
    from .quantize.plan import plan_file

    with GGUFFile(original) as file:
        for kind in job.types:
            plan_file(file, kind, job.imatrix).check()
            found = compatibility_issues(file, kind, job.imatrix, weights=False)
            job.issues[kind] = [issue.as_dict() for issue in found]


def _quantize(job, original, kind, rough):
    """One file, or its shards; a dict of it joins `job.files`."""
    from .quantize.files import quantize_file

    def told(done, total, _):
        job.tell(kind, done, total)

    path = job.path(kind)
    whole = path if job.max_size is None else rough / path.name
    if original in (path, rough / path.name):  # what was converted is what was asked for
        whole = original
    else:
        quantize_file(original, whole, kind, job.imatrix, force=job.force, n_threads=job.n_threads, progress=told)
    paths = [path]
    if job.too_large(whole):
        paths = split(whole, job.folder / path.stem, max_bytes=job.max_size, force=job.force)
    elif whole != path:
        os.replace(whole, path)
    job.files.append({"type": kind, "paths": paths, "types": cards.types_of(paths[0])})


def _compare(job, original, rough):
    """Every file opens, holds numbers only, and predicts nearly what the original does; how nearly, joins its dict."""
    from .evaluate import base_file
    from .evaluate.perplexity import last
    from .model import Model

    base = rough / "base"
    with GGUFFile(original) as file:
        window = min(WINDOW, file.metadata.int(".context_length"))
    with Model(original, n_ctx=window, n_threads=job.n_threads) as model:
        encoder = getattr(model.family, "ENCODER", False)
        want = model.embed(model.tokenize(TEXT)[:window]) if encoder else None
        if not encoder:
            for _ in base_file.write(model, TEXT, base, window, WINDOWS):
                job.tell("check", 0, len(job.files))
    for i, file in enumerate(job.files):
        job.tell("check", i, len(job.files))
        with Model(file["paths"][0], n_ctx=window, n_threads=job.n_threads, check_tensors=True) as model:
            if encoder:
                file["check"] = {"cosine": float(want @ model.embed(model.tokenize(TEXT)[:window]))}
                continue
            found = last(base_file.stream(model, base))
            file["check"] = {"kl": found.kl, "same_top": found.same_top, "tokens": len(found.kls)}
    job.tell("check", len(job.files), len(job.files))


