"""What can be made of a source, known before anything is: where it is, each file type's plan, what stands against it.

    found = look("SmolLM2-135M", text="calibration.txt")
    print([kind for kind, plan in found.plans.items() if not plan.problems])

A model folder is planned as the file that its conversion would give; no weight is read.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import catalogue, hub, remote
from .checks import Issue, compatibility_issues
from .errors import ModelError, NameNotFound
from .gguf import GGUFFile, Metadata
from .quantize.filetypes import FILE_TYPES
from .quantize.plan import Plan
from .quantize.recipes import Recipe

PLAIN = ("F32", "F16", "BF16")


@dataclass
class Makeable:
    """`plans` has a quantize.Plan for each file type, `issues` those of checks, or what converting leaves out."""

    path: Path
    name: str
    n_bytes: int
    plans: dict
    issues: list = field(default_factory=list)


class Promised:
    """An importance matrix that a text is to give: it will have something for every tensor."""

    def weights(self, name, shape):
        return np.ones((1, shape[-1]), np.float32)


class Coming:
    """A file that a conversion would write, as plans see it."""

    def __init__(self, conversion):
        self.path = conversion.folder.path
        self.metadata, self.tensors = Metadata.of(conversion.metadata), conversion.shapes()
        for t in self.tensors.values():
            t.n_elements = math.prod(t.shape)
            t.n_bytes = t.n_elements // t.shape[-1] * t.type.row_bytes(t.shape[-1])


def look(source, imatrix=None, text=None, tell=None):
    """A Makeable of whatever `make` takes as a source, downloaded where it is not here.

    imatrix: the Imatrix to use; text: true where one will be made. tell(stage) is called before a download. Raises
    ModelError or FormatError where nothing at all can be made.
    """
    path, folder, _ = located(str(source), tell)
    importance = Promised() if text else imatrix
    if folder:
        from .convert import Conversion

        conversion = Conversion(path)
        coming = Coming(conversion)
        notes = [Issue("conversion", "note", note) for note in conversion.notes]
        return _planned(coming, path, conversion.metadata["general.name"].value, importance, notes)
    with GGUFFile(path) as file:
        check_plain(file)
        issues = compatibility_issues(file, imatrix=imatrix, weights=False)
        return _planned(file, path, file.metadata.get("general.name") or Path(path).stem, importance, issues)


def _planned(file, path, name, importance, issues):
    plans = {kind: Plan(file, Recipe(kind), importance) for kind in FILE_TYPES}
    return Makeable(Path(path), str(name), sum(t.n_bytes for t in file.tensors.values()), plans, issues)


def located(source, tell=None):
    """(path, is it a folder to convert?, {"name", "repository", "revision"}) of a source, downloaded where it is not
    here; what is known of where it is from.
    """
    path = Path(source).expanduser()
    origin = {"name": path.resolve().name if path.exists() else source}
    if path.is_dir():
        return path, True, origin
    scheme = source.partition(":")[0] in catalogue.SCHEMES
    if path.is_file() or path.is_absolute() or scheme or source in catalogue.ALIASES:
        return hub.resolve(source), False, origin
    if tell:
        tell("download")
    want = catalogue.parse(source)
    if want.file or want.quant:
        return hub.resolve(source), False, origin
    origin["repository"], found = want.repo, remote.fetch_folder(want)
    if found is not None:
        return found, True, origin | {"revision": found.name}
    for kind in PLAIN:
        try:
            return hub.resolve(source, quant=kind), False, origin
        except NameNotFound:
            pass
    raise NameNotFound(f"{want.repo} on the Hub has neither safetensors nor a GGUF file in F32, F16 or BF16")


def check_plain(file):
    """ModelError where an open GGUFFile is quantized: what starts from there loses twice."""
    kinds = {t.type.name for t in file.tensors.values() if t.type.is_quantized}
    if kinds:
        raise ModelError(f"is quantized already ({', '.join(sorted(kinds))}); start from F32, F16 or BF16",
                         path=str(file.path))
