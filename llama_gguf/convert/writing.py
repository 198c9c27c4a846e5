"""From planned tensors to bytes: which type each gets, and its rows, a piece at a time.

A piece is some rows, so that beside the mapped folder there is never more in memory than one tensor whose rows change
order, and a few megabytes.
"""

import math

import numpy as np

from ..errors import LlamaGGUFError, ModelError
from ..gguf import TYPES
from ..quantize.recipes import known_file_type
from . import dtypes

PLAIN = ("F32", "F16", "BF16")
DIRECT = (*PLAIN, "Q8_0")
"""Types that are written at once."""
PIECE = 1 << 22
"""Numbers that are converted at a time."""
ALWAYS_F32 = ("ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight", "position_embd.weight", "token_types.weight",
              "ssm_conv1d.weight", "shortconv.conv.weight")
"""Matrices that readers want in single precision."""
FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7, "BF16": 32}
"""`general.file_type`."""


def automatic(planned):
    """The type of most matrices: that of the first one, F16 where it is neither BF16 nor F16."""
    first = next((p.dtype for p in planned if len(p.shape) > 1), "F32")
    return first if first == "BF16" else "F16"


def type_of(name, shape, wanted):
    """The type a tensor is written as where its matrices are to be of type `wanted`, as llama.cpp's converter decides.

    Vectors, norms, routers and whatever is not called a weight stay in single precision; rows that are not whole
    blocks become F16.
    """
    part = name.split(".", 2)[2] if name.startswith("blk.") else name
    if len(shape) <= 1 or name.endswith("_norm.weight") or part in ALWAYS_F32 or not name.endswith(".weight"):
        return "F32"
    return wanted if shape[-1] % TYPES[wanted].block == 0 else "F16"


def kind_of(planned, wanted):
    """The type of a planned tensor."""
    return "MXFP4" if planned.dtype == "MXFP4" else type_of(planned.name, planned.shape, wanted)


def checked(wanted):
    """(type of the tensors, recipe or None) for a name; ModelError for one that is neither.

    What is not written at once is quantized by the recipe of that name, from a file that keeps the source's precision.
    """
    name = str(wanted).upper()
    if name in DIRECT:
        return name, None
    try:
        known_file_type(name)
    except LlamaGGUFError as error:
        raise ModelError(f"{wanted!r} is not a type that can be written: auto, {', '.join(DIRECT)}, or a recipe; "
                         f"{error}") from None
    return "auto", name


class Writer:
    """Hands out the bytes of planned tensors; `done` is called with a number of bytes read after each piece.

    `overflows` has the names of tensors whose finite numbers became infinite in half precision.
    """

    def __init__(self, wanted, done=lambda n: None):
        self.wanted, self.done, self.overflows = wanted, done, []

    def entry(self, planned):
        """(name, type, shape, function that gives the bytes), as GGUFWriter takes it."""
        if planned.dtype == "MXFP4":
            shape = (*planned.shape[:-1], planned.shape[-1] // 17 * 32)
            return planned.name, "MXFP4", shape, lambda: self._raw(planned)
        kind = kind_of(planned, self.wanted)
        return planned.name, kind, planned.shape, lambda: self._pieces(planned, kind)

    def _raw(self, planned):
        for source in planned.sources:
            yield np.ascontiguousarray(_moved(source.array(), planned.steps))
            self._finish(source)

    def _pieces(self, planned, kind):
        for source in planned.sources:
            values, dtype = stepped(source, planned.steps)
            values = values.reshape(-1, values.shape[-1] if values.ndim else 1)
            each = max(1, PIECE // max(1, values.shape[1]))
            for first in range(0, len(values), each):
                yield self._encoded(planned.name, values[first : first + each], dtype, kind)
            del values
            self._finish(source)

    def _encoded(self, name, rows, dtype, kind):
        if kind not in PLAIN:
            from ..quantize.rows import quantize_rows

            return quantize_rows(np.ascontiguousarray(dtypes.to_float32(rows, dtype)), kind)
        out = dtypes.to_type(rows, dtype, kind)
        if kind == "F16" and dtype != "F16" and name not in self.overflows:
            infinite = np.isinf(out.view("<f2"))
            if infinite.any() and np.isfinite(dtypes.to_float32(rows, dtype)[infinite]).any():
                self.overflows.append(name)
        return out

    def _finish(self, source):
        source.forget()
        self.done(math.prod(source.shape))


def stepped(source, steps):
    """(numbers, dtype) of a source after its steps: as stored until a step wants the values themselves."""
    values, dtype = source.array(), source.dtype
    for one in steps:
        if one.values and dtype != "F32":
            values, dtype = dtypes.to_float32(values, dtype), "F32"
        values = one.apply(values)
    return values, dtype


def _moved(values, steps):
    for one in steps:
        if one.values:
            raise ModelError("numbers of MXFP4 blocks cannot be computed with")
        values = one.apply(values)
    return values
