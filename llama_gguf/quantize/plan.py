"""What quantizing a file would do: types, sizes and errors of each tensor, and everything that stands against it."""

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from llama_gguf.engine.quants import dequantize
from llama_gguf.errors import ModelError
from llama_gguf.gguf import GGUFFile
from llama_gguf.gguf.types import TYPES
from llama_gguf.quantize.recipes import LAYER, Choice, Recipe, Traits
from llama_gguf.quantize.rows import NEEDS_IMPORTANCE, quantize_rows

SAMPLE = 1 << 17
"""Values of a tensor whose error is measured for a prediction."""


@dataclass(frozen=True)
class Planned(Choice):
    """A Choice with its costs: bytes, and the predicted relative error (None: not measured, or nothing changes)."""

    bytes_before: int = 0
    bytes_after: int = 0
    error: float | None = None

    @property
    def layer(self):
        """Number of the block, or None outside of blocks."""
        found = LAYER.match(self.name)
        return int(found[1]) if found else None


class Plan:
    """The fate of all tensors of an open GGUFFile; `tensors` is a list of Planned.

    `problems` says in one line each what makes it impossible; `check()` raises the first as ModelError.
    """

    def __init__(self, file, recipe, imatrix=None, *, requantize=False):
        self.file, self.recipe, self.imatrix = file, recipe, imatrix
        self.traits = Traits.of(file.metadata)
        found = [(t.name, t.shape, t.type.name) for t in file.tensors.values()]
        self.tensors = [self._planned(c) for c in recipe.choose(found, self.traits, imatrix is not None)]
        self.problems = list(self._problems(requantize))

    def _planned(self, choice):
        tensor = self.file.tensors[choice.name]
        rows = tensor.n_elements // tensor.shape[-1]
        after = rows * TYPES[choice.target].row_bytes(tensor.shape[-1])
        return Planned(**vars(choice), bytes_before=tensor.n_bytes, bytes_after=after)

    def _problems(self, requantize):
        for t in self.changing:
            if not TYPES[t.source].roles:
                yield f"tensor {t.name} is {t.source}, which holds no weights that could be quantized"
            elif t.rounds_again and not requantize:
                yield (f"tensor {t.name} is {t.source} already, and quantizing it again to {t.target} loses more than"
                       " starting from the original would; --allow-requantize (requantize=True) does it all the same")
            if self.importance(t) is None and t.needs_importance:
                yield self._missing(t)

    def _missing(self, t):
        what = "the importance matrix holds nothing for it" if self.imatrix else "there is no importance matrix"
        return (f"tensor {t.name} would become {t.target}, which is useless without importance, and {what}; collect one"
                " with `llama-gguf imatrix` (it has the output matrix too, tied or not) and give it with --imatrix")

    def check(self):
        if self.problems:
            more = f" (and {len(self.problems) - 1} more like this)" if len(self.problems) > 1 else ""
            raise ModelError(self.problems[0] + more, path=str(self.file.path))

    @property
    def changing(self):
        return [t for t in self.tensors if t.changes]

    def importance(self, t):
        """float32 (matrices, cols) of a tensor, or None. A table that is only looked up has none, and of the types that
        want some it gets the same for all columns, for its values reach the residual stream as they are.
        """
        found = self.imatrix.weights(t.name, t.shape) if self.imatrix else None
        if found is None and not t.needs_importance and t.name.endswith("token_embd.weight"):
            return np.ones((1, t.shape[-1]), np.float32) if t.target in NEEDS_IMPORTANCE else None
        return found

    @cached_property
    def n_bytes(self):
        """Of all tensors as they would be, without the file's header and padding."""
        return sum(t.bytes_after for t in self.tensors)

    @property
    def bits_per_weight(self):
        n = sum(t.n_elements for t in self.file.tensors.values())
        return 8 * self.n_bytes / n if n else 0.0

    def __repr__(self):
        about = f"{len(self.changing)} of {len(self.tensors)} tensors change, {self.n_bytes:,} bytes"
        return f"<Plan for {self.recipe.type}: {about}, {self.bits_per_weight:.2f} bits per weight>"

    def _repr_html_(self):
        from llama_gguf.pictures import table

        rows = [(t.name, t.source, t.target, t.bytes_after, "" if t.error is None else t.error, t.reason)
                for t in self.tensors]
        title = "; ".join([repr(self).strip("<>"), *self.problems[:3]])
        return str(table(rows, ("tensor", "from", "to", "bytes", "error", "why"), title))

    def measure(self, progress=None):
        """The same plan with the error of each tensor that changes, measured on a sample of its rows."""
        for i, t in enumerate(self.tensors):
            if t.changes and not self.problems:
                error = predicted_error(self.file.tensors[t.name], t.target, self.importance(t))
                self.tensors[i] = Planned(**vars(t) | {"error": error})
            if progress:
                progress(i + 1, len(self.tensors), t.name)
        return self


def plan_file(source, recipe, imatrix=None, *, requantize=False, errors=False, progress=None):
    """A Plan for a path or an open GGUFFile; `recipe` is a Recipe or the name of a file type.

    errors: measure them too, on a sample. A plan from a path stays usable: its file is open until it is collected.
    """
    file = source if isinstance(source, GGUFFile) else GGUFFile(os.fspath(source))
    plan = Plan(file, recipe if isinstance(recipe, Recipe) else Recipe(recipe), imatrix, requantize=requantize)
    return plan.measure(progress) if errors else plan


def check_importance(types, tensors, metadata, imatrix=None):
    """ModelError where a file type makes a tensor useless without importance that is not there: known by name, shape
    and type of the tensors, before there is a file.
    """
    tensors = [(t.name, t.shape, t.type.name) for t in tensors]
    for kind in types:
        for c in Recipe(kind).choose(tensors, Traits.of(metadata), imatrix is not None):
            known = imatrix is not None and imatrix.weights(c.name, c.shape) is not None
            if c.changes and c.needs_importance and not known:
                lacks = "and the importance matrix has nothing for it" if imatrix else "give an importance matrix"
                raise ModelError(f"{kind} would make {c.name} {c.target}, which is useless without importance: {lacks},"
                                 " or a text to make one of", tensor=c.name)


def predicted_error(tensor, target, importance=None):
    """sqrt(sum w (x - x')^2 / sum w x^2) over evenly spread rows; w: importance of the column, or 1."""
    squared, total = sampled_error(tensor, target, importance)
    return (squared / total) ** 0.5 if total else 0.0


def sampled_error(tensor, target, importance=None, sample=SAMPLE):
    """(sum w (x - x')^2, sum w x^2) over about `sample` values of a tensor."""
    cols, raw = tensor.shape[-1], tensor.raw
    n = min(len(raw), max(4, sample // cols))
    rows = np.unique(np.linspace(0, len(raw) - 1, n).astype(int))
    values = as_float(raw[rows], tensor.type, cols)
    per_matrix = len(raw) // len(importance) if importance is not None else len(raw)
    squared = total = 0.0
    for matrix in np.unique(rows // per_matrix):
        here = values[rows // per_matrix == matrix]
        weights = None if importance is None else importance[matrix]
        stored = as_float(quantize_rows(here, target, weights), TYPES[target], cols)
        w = np.float64(1) if weights is None else weights.astype(np.float64)
        squared += float((w * np.square(here - stored, dtype=np.float64)).sum())
        total += float((w * np.square(here, dtype=np.float64)).sum())
    return squared, total


def as_float(raw, kind, cols):
    """float32 (rows, cols) of rows stored as `kind`."""
    return dequantize(np.ascontiguousarray(raw), kind.id, cols)
