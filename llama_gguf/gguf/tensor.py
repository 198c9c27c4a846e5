"""A tensor of an open file: its bytes without a copy, its values as float32 on request."""

import math


class Tensor:
    """One tensor; nothing is read from the file before it is asked for.

    `shape` is in NumPy order, `(rows, cols)`; GGUF itself lists the columns first. `offset`
    counts from the start of the file `path`. Indexing selects along the first axis and
    dequantizes only what it selects.
    """

    __slots__ = ("_source", "n_bytes", "name", "offset", "shape", "type")

    def __init__(self, info, source, data_start):
        self.name, self.type, self.shape, offset, self.n_bytes = info
        self.offset, self._source = data_start + offset, source

    @property
    def path(self):
        return self._source.path

    @property
    def is_remote(self):
        """Do its bytes come from elsewhere, all of them each time one looks?"""
        return hasattr(self._source, "fetch")

    @property
    def n_elements(self):
        return math.prod(self.shape)

    @property
    def row_bytes(self):
        return self.type.row_bytes(self.shape[-1])

    @property
    def raw(self):
        """The bytes as stored: read-only uint8 (rows, row_bytes), a view that keeps the map."""
        import numpy as np

        buffer, start = self._source.view(self.offset, self.n_bytes)
        view = np.frombuffer(buffer, np.uint8, self.n_bytes, start)
        return view.reshape(-1, self.row_bytes)

    def numpy(self, rows=None):
        """float32 values, a fresh array; `rows` (int, slice or int array) select on axis 0."""
        if rows is None:
            return self._dequantize(self.raw).reshape(self.shape)
        if len(self.shape) == 1:
            return self._dequantize(self.raw)[0][rows]
        picked = self.raw.reshape(self.shape[0], -1, self.row_bytes)[rows]
        shape = (*picked.shape[:-2], *self.shape[1:])
        return self._dequantize(picked.reshape(-1, self.row_bytes)).reshape(shape)

    def _dequantize(self, raw):
        """float32 (rows, cols) of the rows whose bytes are given."""
        import numpy as np

        raw = np.ascontiguousarray(raw)
        if self.type.dtype and self.type.name != "F16":  # F16: the engine uses all cores
            return raw.view(np.dtype(self.type.dtype).newbyteorder("<")).astype(np.float32)
        from llama_gguf.engine.quants import dequantize

        return dequantize(raw, self.type.id, self.shape[-1])

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError(f"tensor {self.name!r} cannot become an array without a copy;"
                             " .raw is a view")
        values = self.numpy()
        return values if dtype is None else values.astype(dtype, copy=False)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        if not isinstance(index, tuple):
            return self.numpy(index)
        first, rest = index[0], index[1:]
        keeps_axis = not isinstance(first, int)
        return self.numpy(first)[(slice(None), *rest) if keeps_axis else rest]

    def stats(self, most=None):
        """Range, mean, deviation, kurtosis, histogram, outliers and largest channels, as a dict; see gguf.stats.

        most: look at about so many values only, in rows evenly spaced.
        """
        from llama_gguf.gguf.stats import stats

        return stats(self, most)

    def block(self, index, against=()):
        """The block microscope: one quantized block taken apart; see blocks.Block.

        index: its number in the file, or (row, block of the row). against: a tensor of the same shape (or a list of
        them) whose weights at the same place are compared.
        """
        from llama_gguf.blocks import Block

        return Block(self, index, against)

    def release(self, first=0, rows=None):
        """Give the memory of mapped pages back, those of some rows or all; a later read loads them again."""
        n_bytes = self.n_bytes if rows is None else rows * self.row_bytes
        self._source.release(self.offset + first * self.row_bytes, n_bytes)

    def __repr__(self):
        return f"<Tensor {self.name} {self.type} {self.shape}, {self.n_bytes:,} bytes>"

    def _repr_html_(self):
        from llama_gguf.gguf.reprs import tensor_html

        return tensor_html(self)
