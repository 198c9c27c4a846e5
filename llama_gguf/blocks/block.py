"""The block microscope: a block of a tensor with its place, its parts, and its error beside other files."""

import numpy as np

from llama_gguf.blocks.bits import bits_of
from llama_gguf.blocks.layout import PARTS
from llama_gguf.blocks.microscope import block_fields, checked


class Block:
    """One block of a quantized tensor.

    scale, minimum: float32, one per `group` values (minimum None where the type has none); codes: integers;
    values: float32, value = scale * code + minimum. `row` and `columns` (a range) say which weights these are.
    `against`: tensors of the same shape, in other files, whose weights at the same place are compared.
    """

    def __init__(self, tensor, index, against=()):
        self.tensor, self.kind = tensor, checked(tensor.type.id)
        raw = tensor.raw
        self.index, self.row, at = place(tensor, len(raw), index)
        self.columns = range(at * self.kind.block, (at + 1) * self.kind.block)
        self.raw = raw[self.row, at * self.kind.bytes : (at + 1) * self.kind.bytes]
        fields = block_fields(self.raw, self.kind.id)
        self.group, self.scale, self.minimum = fields["group"], fields["scale"], fields["minimum"]
        self.codes, self.values = fields["codes"], fields["values"]
        self.others = [(other, self._same(other)) for other in many(against)]

    def _same(self, other):
        """float32: the same weights in another tensor."""
        if tuple(other.shape) != tuple(self.tensor.shape):
            raise ValueError(f"{other.name} has shape {other.shape}, not {self.tensor.shape}: there is no same block")
        rows = getattr(other, "raw", None)
        if rows is None:
            return np.asarray(other, np.float32).reshape(-1, other.shape[-1])[self.row, self.columns]
        return other._dequantize(rows[self.row : self.row + 1])[0, self.columns.start : self.columns.stop]

    def parts(self):
        """[{"name", "start", "bytes", "holds", "reads"}]: what the bytes are for."""
        at, found = 0, []
        for part in PARTS[self.kind.name]:
            found.append(part._asdict() | {"start": at})
            at += part.bytes
        return found

    def bits(self, value):
        """{"code", "scale", "minimum"}: the bits that a value depends on, as {byte: mask}."""
        return bits_of(self.kind.id, value)

    def errors(self):
        """Of each tensor it was compared with: file, type, and this block's rmse, largest difference and relative
        error (rmse over the root mean square of the other's values, NaN if that is 0).
        """
        return [self._error(other, values) for other, values in self.others]

    def _error(self, other, values):
        with np.errstate(all="ignore"):
            off = self.values.astype(np.float64) - values
            rmse, size = np.sqrt(np.mean(off**2)), np.sqrt(np.mean(values.astype(np.float64) ** 2))
            return {
                "path": str(getattr(other, "path", "")),
                "type": str(getattr(other, "type", other.dtype if hasattr(other, "dtype") else "")),
                "rmse": float(rmse),
                "largest": float(np.abs(off).max()),
                "relative": float(rmse / size) if size else float("nan"),
            }

    def to_dict(self):
        """Everything in plain Python, ready for JSON."""
        return {
            "tensor": self.tensor.name, "type": self.kind.name, "index": self.index, "row": self.row,
            "columns": [self.columns.start, self.columns.stop], "raw": self.raw.tobytes().hex(), "group": self.group,
            "scale": self.scale.tolist(), "minimum": None if self.minimum is None else self.minimum.tolist(),
            "codes": self.codes.tolist(), "values": self.values.tolist(), "errors": self.errors(),
        }

    def __repr__(self):
        where = f"row {self.row}, columns {self.columns.start} to {self.columns.stop - 1}"
        return f"<Block {self.index} of {self.tensor.name} {self.kind}: {where}, {self.kind.bytes} bytes>"

    def _repr_html_(self):
        from llama_gguf.blocks.lesson import lesson

        return lesson(self)


def place(tensor, rows, index):
    """(number, row, block of the row) of a block's number, or of (row, block of the row)."""
    each = tensor.shape[-1] // tensor.type.block
    try:
        if isinstance(index, tuple):
            row, at = index
            row, at = range(rows)[row], range(each)[at]
            return row * each + at, row, at
        number = range(rows * each)[index]
    except IndexError:
        wanted = f"{rows * each} blocks, {each} in each of {rows} rows"
        raise IndexError(f"tensor {tensor.name} has {wanted}: there is no block {index}") from None
    return number, number // each, number % each


def many(against):
    return list(against) if isinstance(against, list | tuple) else [against]
