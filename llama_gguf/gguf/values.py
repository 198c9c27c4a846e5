"""Metadata values: their kinds, arrays that stay in the file until asked for, explicit types."""

import array
import struct
import sys
from collections.abc import Sequence

from llama_gguf.gguf import strings

KINDS = ("u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "array", "u64", "i64", "f64")
"""A kind's index is its id in the file."""

CODES = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f",
         "bool": "B", "u64": "Q", "i64": "q", "f64": "d"}
"""`struct` and `array` letters of the kinds of fixed size."""

SIZES = {kind: struct.calcsize("<" + code) for kind, code in CODES.items()}
INTS = frozenset(kind for kind in KINDS if kind[0] in "ui")
FLOATS = frozenset(("f32", "f64"))


class Typed:
    """A value with the kind it is written as: `Typed(7, "u16")`, `Typed([1, 2], "i32")`.

    For a list or LazyArray `kind` is that of its elements.
    """

    __slots__ = ("kind", "value")

    def __init__(self, value, kind):
        if kind not in CODES and kind != "str":
            raise ValueError(f"no metadata kind {kind!r}; there are {', '.join(KINDS)}")
        self.value, self.kind = value, kind

    def __repr__(self):
        return f"Typed({self.value!r}, {self.kind!r})"


class LazyArray(Sequence):
    """An array of the metadata, read from the mapped file each time it is asked for.

    `kind` is the kind of the elements. Text that is not UTF-8 decodes with surrogate escapes,
    so `text.encode("utf-8", "surrogateescape")` gives its bytes back.
    """

    __slots__ = ("_buf", "_n", "_pos", "_starts", "kind")
    __hash__ = None

    def __init__(self, buf, pos, n, kind):
        self._buf, self._pos, self._n, self.kind = buf, pos, n, kind
        self._starts = None

    def __len__(self):
        return self._n

    def __iter__(self):
        return iter(self.tolist())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.tolist()[index]
        i = range(self._n)[index]
        if self.kind == "str":
            return strings.texts(self._buf, self._start(i), 1)[0]
        code, size = CODES[self.kind], SIZES[self.kind]
        value = struct.unpack_from("<" + code, self._buf, self._pos + i * size)[0]
        return bool(value) if self.kind == "bool" else value

    def _start(self, i):
        if self._starts is None:
            self._starts = strings.starts(self._buf, self._pos, self._n)
        return self._starts[i]

    def tolist(self):
        """All elements as Python objects."""
        if self.kind == "str":
            return strings.texts(self._buf, self._pos, self._n)
        if self.kind == "bool":
            return [byte != 0 for byte in self.tobytes()]
        out = array.array(CODES[self.kind], self.tobytes())
        if sys.byteorder == "big":
            out.byteswap()
        return out.tolist()

    def tobytes(self):
        """The elements as the file stores them; of strings, the lengths too."""
        if self.kind == "str":
            return self._buf[self._pos : strings.skip(self._buf, self._pos, self._n)]
        return self._buf[self._pos : self._pos + self._n * SIZES[self.kind]]

    def bytes_list(self):
        """The strings as bytes, as the file has them."""
        if self.kind != "str":
            raise TypeError(f"an array of {self.kind} holds no strings")
        return strings.raws(self._buf, self._pos, self._n)

    def numpy(self):
        """A NumPy array of its own memory; strings become an array of objects."""
        import numpy as np

        if self.kind == "str":
            return np.array(self.tolist(), dtype=object)
        dtype = "?" if self.kind == "bool" else f"<{self.kind[0]}{SIZES[self.kind]}"
        return np.frombuffer(self.tobytes(), dtype=dtype).copy()

    def __array__(self, dtype=None, copy=None):
        out = self.numpy()
        return out if dtype is None else out.astype(dtype)

    def __eq__(self, other):
        if isinstance(other, LazyArray):
            return self.kind == other.kind and self.tobytes() == other.tobytes()
        if isinstance(other, list | tuple):
            return len(self) == len(other) and self.tolist() == list(other)
        return NotImplemented

    def __repr__(self):
        return f"<array of {self._n} {self.kind}>"
