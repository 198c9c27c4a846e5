"""The inverse of the reader: a GGUF file, whole or not at all."""

import math
import struct
from collections.abc import Mapping

from llama_gguf.gguf.atomic import replacing
from llama_gguf.gguf.header import MAX_DIMS, MAX_KEY_BYTES, MAX_NAME_BYTES
from llama_gguf.gguf.metadata import Metadata
from llama_gguf.gguf.tensor import Tensor
from llama_gguf.gguf.types import TYPES
from llama_gguf.gguf.values import CODES, KINDS, LazyArray, Typed

_RANGES = {
    kind: (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)
    for kind, bits in (("u32", 32), ("i32", 32), ("u64", 64), ("i64", 64))
}


class GGUFWriter:
    """A file to be written: `GGUFWriter(path, metadata, tensors).write()`.

    `metadata` maps keys to Python values, `Typed(value, kind)`, or is the Metadata of an open
    file (its kinds are kept). Plain numbers become u32 (i32, u64, i64 where they must) and f32.
    `general.alignment` is obeyed. `tensors` yields (name, type name, shape in NumPy order,
    data); data is a C-contiguous buffer of exactly the bytes that type and shape imply, a
    Tensor of an open file, or a callable that returns a buffer or an iterable of buffers when
    its turn has come. `inputs` are paths that must not be overwritten, not even with `force`.

    ValueError names what cannot be written. `size` is the exact size of the file.
    """

    def __init__(self, path, metadata, tensors, *, force=False, inputs=()):
        self.path, self.force = path, force
        self.inputs = {path for path in (*inputs, getattr(metadata, "path", None)) if path}
        metadata = _typed(metadata)
        self.alignment = _alignment(metadata)
        self.tensors = [_checked(*tensor) for tensor in tensors]
        names = {name for name, *_ in self.tensors}
        if len(names) != len(self.tensors):
            raise ValueError("two tensors have one name")
        self.inputs |= {t[3].path for t in self.tensors if isinstance(t[3], Tensor)}
        self._header = self._encode_header(metadata)
        self.size = len(self._header) + sum(self._padded(t) for t in self.tensors)

    def write(self):
        """Write the file and return its size; FileExistsError or OSError leave the old one."""
        with replacing(self.path, self.size, self.force, self.inputs) as out:
            self.write_to(out)
        return self.size

    def write_to(self, out):
        """Write to an open binary file."""
        out.write(self._header)
        for tensor in self.tensors:
            self._write_tensor(out, tensor)

    def _write_tensor(self, out, tensor):
        name, type, shape, data = tensor
        expected, written = _n_bytes(type, shape), 0
        for buffer in _buffers(data):
            view = memoryview(buffer).cast("B")
            written += len(view)
            if written > expected:
                break
            out.write(view)
        if written != expected:
            raise ValueError(f"tensor {name!r} ({type} {shape}) has {expected} bytes, but its data"
                             f" has {'at least ' * (written > expected)}{written}")
        out.write(bytes(self._padded(tensor) - written))

    def _padded(self, tensor):
        return _align(_n_bytes(tensor[1], tensor[2]), self.alignment)

    def _encode_header(self, metadata):
        parts = [b"GGUF", struct.pack("<IQQ", 3, len(self.tensors), len(metadata)),
                 encode_metadata(metadata)]
        offset = 0
        for tensor in self.tensors:
            name, type, shape, _ = tensor
            dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
            parts += [_encode_str(name), dims, struct.pack("<IQ", type.id, offset)]
            offset += self._padded(tensor)
        header = b"".join(parts)
        return header + bytes(_align(len(header), self.alignment) - len(header))


def write_gguf(path, metadata, tensors, **options):
    """`GGUFWriter(...).write()` in one call."""
    return GGUFWriter(path, metadata, tensors, **options).write()


def encode_metadata(metadata):
    """The bytes of the key/value section."""
    return b"".join(_encode_entry(key, value) for key, value in _typed(metadata).items())


def _typed(metadata: Mapping):
    if isinstance(metadata, Metadata):
        return metadata.typed()
    return {k: v if isinstance(v, Typed) else Typed(v, infer(v)) for k, v in metadata.items()}


def infer(value):
    """The kind a plain Python value is stored as; of a list, the kind of its elements."""
    if isinstance(value, LazyArray):
        return value.kind
    if hasattr(value, "dtype"):
        kind = "bool" if value.dtype.kind == "b" else value.dtype.kind + str(
            8 * value.dtype.itemsize)
        if kind in KINDS:
            return kind
        raise ValueError(f"metadata cannot hold NumPy's {value.dtype}")
    values = value if _is_array(value) else [value]
    if not len(values):
        raise ValueError('an empty array needs its kind: Typed([], "str")')
    for kind, classes in (("str", str), ("bool", bool), ("int", int), ("f32", (int, float))):
        if all(isinstance(v, classes) for v in values):
            return kind if kind != "int" else _int_kind(values)
    raise ValueError(f"no metadata kind fits {value!r}")


def _is_array(value):
    return isinstance(value, list | tuple | LazyArray) or bool(getattr(value, "ndim", 0))


def _int_kind(values):
    if any(isinstance(v, bool) for v in values):
        raise ValueError("an array cannot mix bools and integers")
    for kind, (low, high) in _RANGES.items():
        if low <= min(values) and max(values) <= high:
            return kind
    raise ValueError(f"{min(values)} to {max(values)} exceeds 64 bits")


def _encode_entry(key, typed):
    raw = _encode_str(key)
    if not 1 <= len(raw) - 8 <= MAX_KEY_BYTES or "\0" in key:
        raise ValueError(f"key {key[:80]!r} must have 1 to {MAX_KEY_BYTES} bytes and no NUL")
    kind, value = typed.kind, typed.value
    try:
        if not _is_array(value):
            return raw + struct.pack("<I", KINDS.index(kind)) + _encode_values([value], kind)
        head = struct.pack("<IIQ", KINDS.index("array"), KINDS.index(kind), len(value))
        return raw + head + _encode_values(value, kind)
    except (struct.error, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"key {key!r} cannot be written as {kind}: {error}") from None


def _encode_values(values, kind):
    if isinstance(values, LazyArray) and values.kind == kind:
        return values.tobytes()
    if kind == "str":
        return b"".join(map(_encode_str, values))
    code = "?" if kind == "bool" else CODES[kind]  # "?" writes nothing but 0 and 1
    return struct.pack(f"<{len(values)}{code}", *values)


def _encode_str(text):
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(raw)) + raw


def _alignment(metadata):
    typed = metadata.get("general.alignment", Typed(32, "u32"))
    value = typed.value
    if typed.kind != "u32" or value < 8 or value & (value - 1):
        raise ValueError(f"general.alignment must be a u32 and a power of two from 8, not {typed}")
    return value


def _checked(name, type, shape, data):
    """(name, TensorType, shape, data), or ValueError."""
    if not 1 <= len(name.encode()) <= MAX_NAME_BYTES or "\0" in name:
        raise ValueError(f"tensor name {name!r} must have 1 to {MAX_NAME_BYTES} bytes and no NUL")
    if str(type) not in TYPES:
        raise ValueError(f"tensor {name!r}: no type {type!r}; there are {', '.join(TYPES)}")
    type, shape = TYPES[str(type)], tuple(map(int, shape))
    if not 1 <= len(shape) <= MAX_DIMS or min(shape) < 1 or math.prod(shape) >= 1 << 63:
        raise ValueError(f"tensor {name!r} has shape {shape}; 1 to {MAX_DIMS} positive dimensions"
                         " are supported")
    if shape[-1] % type.block:
        raise ValueError(f"tensor {name!r} has rows of {shape[-1]}; {type} needs multiples of"
                         f" {type.block}")
    return name, type, shape, data


def _n_bytes(type, shape):
    return math.prod(shape[:-1]) * type.row_bytes(shape[-1])


def _buffers(data):
    """The buffers of a tensor's data, one after the other."""
    data = data() if callable(data) else data
    if isinstance(data, Tensor):
        data = data.raw
    if isinstance(data, bytes | bytearray | memoryview) or hasattr(data, "__array_interface__"):
        return (data,)
    return data


def _align(n, alignment):
    return -(-n // alignment) * alignment
