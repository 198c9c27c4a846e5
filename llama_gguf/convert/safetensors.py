"""Safetensors: files that are mapped, headers that are checked, folders that are written.

The format (https://huggingface.co/docs/safetensors): 8 bytes with the length of a JSON header, the header, the data.
The header maps a name to dtype, shape and the two ends of its bytes. A file is refused where names are doubled, types
unknown, or the data does not fill the file exactly, without gaps and without overlap: what the reference library
refuses too. Nothing of a tensor is read before its values are asked for.
"""

import json
import math
import mmap
import os
import struct
from collections import Counter
from dataclasses import dataclass, field

from ..errors import FormatError

MAX_HEADER = 100_000_000
"""Bytes; the limit of the reference library."""

BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I64": 64, "U64": 64,
        "I32": 32, "U32": 32, "I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8, "C64": 64, "F4": 4}


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a file: `shape` in NumPy order, its bytes at `start` of the mapped file."""

    name: str
    dtype: str
    shape: tuple
    start: int
    n_bytes: int
    path: str
    map: object = field(repr=False, compare=False)

    @property
    def raw(self):
        """The bytes as stored, read-only uint8, a view of the map."""
        import numpy as np

        return np.frombuffer(self.map, np.uint8, self.n_bytes, self.start)

    def forget(self):
        """Let the system take back the pages read for this tensor: a file larger than memory stays on disk."""
        page = mmap.PAGESIZE
        first, last = -(-self.start // page) * page, (self.start + self.n_bytes) // page * page
        if last > first and hasattr(mmap, "MADV_DONTNEED"):
            self.map.madvise(mmap.MADV_DONTNEED, first, last - first)


def open_file(path):
    """Name to Stored, in the order of the data. FormatError says what is wrong and in which file."""
    path = os.fspath(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header, data_start = _read_header(file, size, path)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    tensors = [_checked(name, entry, data_start, path, mapped) for name, entry in header if name != "__metadata__"]
    tensors.sort(key=lambda t: (t.start, t.n_bytes))
    _check_filled(tensors, data_start, size, path)
    return {t.name: t for t in tensors}


def _read_header(file, size, path):
    """([(name, entry)], where the data starts)."""
    head = file.read(8)
    if len(head) < 8:
        raise FormatError(f"is cut off: it has {size} bytes and no room for a safetensors header", path=path)
    n = int.from_bytes(head, "little")
    if n > MAX_HEADER:
        raise FormatError(f"is not safetensors: its header would have {n:,} bytes (at most {MAX_HEADER:,})", path=path)
    if n > size - 8:
        raise FormatError(f"is cut off: the header has {n:,} bytes, the file {size:,}; download it again", path=path)
    try:
        pairs = json.loads(file.read(n), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"has a header that is not JSON: {error}", path=path) from None
    if not isinstance(pairs, _Pairs):
        raise FormatError("has a header that is not a JSON object", path=path)
    doubled = [name for name, n in Counter(name for name, _ in pairs).items() if n > 1]
    if doubled:
        raise FormatError(f"names a tensor twice: {', '.join(doubled[:5])[:300]}", path=path)
    return pairs, 8 + n


class _Pairs(list):
    """A JSON object as it is written: a dict would hide names that come twice."""


def _checked(name, entry, data_start, path, mapped):
    def wrong(what):
        return FormatError(f"tensor {name[:200]!r} {what}", path=path, tensor=name)

    entry = dict(entry) if isinstance(entry, _Pairs) else {}
    dtype, shape, ends = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if dtype not in BITS:
        raise wrong(f"has the unknown dtype {dtype!r}")
    if not _naturals(shape):
        raise wrong(f"has the shape {shape!r}")
    if not _naturals(ends) or len(ends) != 2 or ends[0] > ends[1]:
        raise wrong(f"has the data offsets {ends!r}")
    bits = math.prod(shape) * BITS[dtype]
    if bits % 8 or bits // 8 != ends[1] - ends[0]:
        raise wrong(f"({dtype}, shape {shape}) needs {bits / 8:,g} bytes, but has {ends[1] - ends[0]:,}")
    return Stored(name, dtype, tuple(shape), data_start + ends[0], ends[1] - ends[0], path, mapped)


def _naturals(values):
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 63 for v in values)


def _check_filled(tensors, position, size, path):
    for tensor in tensors:
        if tensor.start != position:
            what = "overlaps the one before it" if tensor.start < position else "is preceded by a gap"
            raise FormatError(f"tensor {tensor.name!r} {what}", path=path, tensor=tensor.name)
        position += tensor.n_bytes
    if position != size:
        what = f"{position - size:,} bytes are missing; download it again" if position > size else "data no name owns"
        raise FormatError(f"its tensors end at byte {position:,}, but the file has {size:,}: {what}", path=path)


def header_of(tensors, metadata=None):
    """The header bytes for [(name, dtype, shape)], in this order, padded so that the data starts at a multiple of 8."""
    entries, position = {"__metadata__": metadata or {"format": "pt"}}, 0
    for name, dtype, shape in tensors:
        end = position + math.prod(shape) * BITS[dtype] // 8
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
