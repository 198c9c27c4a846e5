"""The container: counts, metadata and tensor table, every length checked before it is believed.

All arithmetic is in Python integers, which cannot wrap, and each result is compared with the
bytes that are left before anything is allocated. Layout: docs/gguf.md of the ggml project.
"""

import itertools
import math
import struct
import warnings
from dataclasses import dataclass
from typing import NamedTuple

from llama_gguf.errors import FormatError
from llama_gguf.gguf import strings
from llama_gguf.gguf.cursor import BROKEN, Cursor
from llama_gguf.gguf.metadata import Metadata
from llama_gguf.gguf.types import BY_ID, TensorType, explain_unknown
from llama_gguf.gguf.values import CODES, KINDS, SIZES, LazyArray

MAX_KEY_BYTES = 65_535
MAX_KEYS = 65_536
MAX_TENSORS = 65_536  # twenty times the largest real file, and still open in half a second
MAX_NAME_BYTES = 63
MAX_DIMS = 4
MIN_KEY_ENTRY = 14  # length, one byte of key, kind, one byte of value
MIN_TENSOR_ENTRY = 33  # length, one byte of name, n_dims, one dim, type, offset

_U32, _U64, _COUNTS = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct("<QQ")
_SCALARS = {kind: struct.Struct("<" + code) for kind, code in CODES.items()}
_INFOS = {n: struct.Struct(f"<{n}QIQ") for n in range(1, MAX_DIMS + 1)}


class TensorInfo(NamedTuple):
    """A checked row of the tensor table; `offset` counts from the start of the data section."""

    name: str
    type: TensorType
    shape: tuple  # NumPy order
    offset: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Header:
    version: int
    alignment: int
    metadata: Metadata
    tensors: list
    data_start: int


def read_header(source, strict=True):
    """Parse and check the header of a Source; raises FormatError."""
    cursor = Cursor(source.map, source.path, 4, source.size)
    version = _read_version(cursor)
    n_tensors, n_keys = cursor.unpack(_COUNTS, "the header")
    _check_count(cursor, n_tensors, MAX_TENSORS, MIN_TENSOR_ENTRY, "tensors")
    _check_count(cursor, n_keys, MAX_KEYS, MIN_KEY_ENTRY, "keys")
    metadata = _read_metadata(cursor, n_keys)
    alignment = _read_alignment(cursor, metadata)
    tensors = _read_tensor_table(cursor, n_tensors)
    data_start = -(-cursor.pos // alignment) * alignment
    if tensors:
        _check_bounds(cursor, tensors, data_start, alignment)
        _check_layout(cursor, tensors, alignment, strict)
        _check_data_start(cursor, tensors, data_start, strict)
    return Header(version, alignment, metadata, tensors, data_start)


def parse_metadata(buf, n_keys, path=None):
    """Metadata from `n_keys` encoded entries that fill the bytes `buf`."""
    return _read_metadata(Cursor(buf, path), n_keys)


def _read_version(cursor):
    (version,) = cursor.unpack(_U32, "the version")
    if version in (2, 3):
        return version
    if version & 0xFFFF == 0 and version:
        raise cursor.error("this is a big-endian GGUF file; only little-endian ones are supported")
    if version == 1:
        raise cursor.error("this is GGUF version 1 of 2023; versions 2 and 3 are supported, look"
                           " for a newer file of the model")
    raise cursor.error(f"GGUF version {version} is unknown; versions 2 and 3 are supported")


def _check_count(cursor, count, limit, entry, what):
    if count > limit:
        raise cursor.error(f"the header announces {count} {what}; at most {limit} are accepted")
    if count * entry > cursor.left:
        raise cursor.error(f"the header announces {count} {what}, which do not fit into the"
                           f" {cursor.left} bytes that follow: {BROKEN}")


def _read_metadata(cursor, n_keys):
    entries = {}
    for i in range(n_keys):
        key = cursor.name(MAX_KEY_BYTES, "key {}", i)
        if key in entries:
            raise cursor.error(f"key {key[:80]!r} appears twice", key=key)
        entries[key] = _read_value(cursor, key)
    return Metadata(entries, cursor.buf, cursor.path)


def _read_value(cursor, key):
    """(kind, value) of one entry; a string is a slice of the buffer, to be decoded later."""
    kind, what = _read_kind(cursor, key), "the value of {!r:.80}"
    if kind == "array":
        return kind, _read_array(cursor, key)
    if kind == "str":
        (n,) = cursor.unpack(_U64, what, key)
        start = cursor.take(n, what, key)
        return kind, slice(start, start + n)
    (value,) = cursor.unpack(_SCALARS[kind], what, key)
    if kind == "bool":
        if value > 1:
            raise cursor.error(f"key {key[:80]!r} is the bool {value}; it must be 0 or 1", key=key)
        value = bool(value)
    return kind, value


def _read_kind(cursor, key):
    (id,) = cursor.unpack(_U32, "the kind of {!r:.80}", key)
    if id >= len(KINDS):
        raise cursor.error(f"key {key[:80]!r} has the unknown value kind {id}", key=key)
    return KINDS[id]


def _read_array(cursor, key):
    kind, what = _read_kind(cursor, key), f"array {key[:80]!r}"
    if kind == "array":
        raise cursor.error(f"{what} holds arrays, which no reader supports", key=key)
    (n,) = cursor.unpack(_U64, "the length of array {!r:.80}", key)
    size = 8 if kind == "str" else SIZES[kind]
    if n * size > cursor.left:
        raise cursor.error(f"{what} of {n} {kind} needs at least {n * size} bytes, but only"
                           f" {cursor.left} are left: {BROKEN}", key=key)
    cursor.need(cursor.pos + n * size)
    array = LazyArray(cursor.buf, cursor.pos, n, kind)
    if kind == "str":
        _skip_strings(cursor, n, what)
    else:
        cursor.pos += n * size
    if kind == "bool" and array.tobytes().strip(b"\0\1"):
        raise cursor.error(f"{what} holds a bool other than 0 and 1", key=key)
    return array


def _skip_strings(cursor, n, what):
    end = strings.skip(cursor.buf, cursor.pos, n)
    if end < 0:
        cursor.need(cursor.have + 1)
        raise cursor.error(f"string {-1 - end} of {what} runs past the end: {BROKEN}")
    cursor.pos = end


def _read_alignment(cursor, metadata):
    key = "general.alignment"
    if key not in metadata:
        return 32
    kind, value = metadata.kind(key), metadata[key]
    if kind != "u32":
        raise cursor.error(f"{key} must be a u32, not {kind}", key=key)
    if value < 8 or value & (value - 1):
        raise cursor.error(f"{key} is {value}; it must be a power of two, at least 8", key=key)
    return value


def _read_tensor_table(cursor, n_tensors):
    tensors, seen = [], set()
    for i in range(n_tensors):
        tensor = _read_tensor(cursor, i)
        if tensor.name in seen:
            raise cursor.error(f"tensor {tensor.name!r} appears twice", tensor=tensor.name)
        seen.add(tensor.name)
        tensors.append(tensor)
    return tensors


def _read_tensor(cursor, i):
    name = cursor.name(MAX_NAME_BYTES, "the name of tensor {}", i)
    (n_dims,) = cursor.unpack(_U32, "tensor {!r}", name)
    if not 1 <= n_dims <= MAX_DIMS:
        raise cursor.error(f"tensor {name!r} has {n_dims} dimensions; 1 to {MAX_DIMS} are"
                           " supported", tensor=name)
    *dims, type_id, offset = cursor.unpack(_INFOS[n_dims], "tensor {!r}", name)
    type = BY_ID.get(type_id)
    if type is None:
        raise cursor.error(f"tensor {name!r} has {explain_unknown(type_id)}", tensor=name)
    count = math.prod(dims)
    if not count or dims[0] % type.block:
        raise cursor.error(f"tensor {name!r} of type {type} has dimensions {dims}: none may be 0,"
                           f" and the first must be a multiple of {type.block}", tensor=name)
    return TensorInfo(name, type, tuple(dims[::-1]), offset, count // type.block * type.bytes)


def _check_bounds(cursor, tensors, data_start, alignment):
    space = cursor.size - data_start
    for t in tensors:
        if t.offset % alignment:
            raise cursor.error(f"tensor {t.name!r} has offset {t.offset}, which is not a multiple"
                               f" of the alignment {alignment}", tensor=t.name)
        if t.offset + t.n_bytes > space:
            start = data_start + t.offset
            raise cursor.error(
                f"tensor {t.name!r} ({t.type} {t.shape}) takes bytes {start} to"
                f" {start + t.n_bytes}, but there are only {cursor.size}: {BROKEN}", tensor=t.name)


def _check_layout(cursor, tensors, alignment, strict):
    """Tensors follow one another in file order with nothing but alignment in between."""
    end, ordered = 0, True
    for t in tensors:
        if t.offset != end:
            fault = f"leaves a hole of {t.offset - end} bytes before it" if t.offset > end else (
                f"starts {end - t.offset} bytes before the end of the one listed before it")
            _complain(cursor, strict, f"tensor {t.name!r} {fault}", t.name)
            ordered = False
        end = t.offset + -(-t.n_bytes // alignment) * alignment
    if not ordered:
        _check_overlap(cursor, sorted(tensors, key=lambda t: t.offset))


def _check_overlap(cursor, tensors):
    for a, b in itertools.pairwise(tensors):
        if a.offset + a.n_bytes > b.offset:
            raise cursor.error(f"tensors {a.name!r} and {b.name!r} overlap", tensor=b.name)


def _check_data_start(cursor, tensors, data_start, strict):
    """The table must end where the data starts: catches a tensor count that is too small."""
    cursor.need(data_start)
    if cursor.buf[cursor.pos : data_start].strip(b"\0"):
        _complain(cursor, strict, f"bytes {cursor.pos} to {data_start}, between the tensor table"
                  " and the data, are not zero: the tensor count is wrong or the file corrupted")
    last = data_start + max(t.offset + t.n_bytes for t in tensors)
    if cursor.pos == data_start and cursor.size > last:  # no padding that could tell
        probe = Cursor(cursor.buf, cursor.path, data_start, cursor.size)
        try:
            _read_tensor(probe, len(tensors))
        except FormatError:
            return
        raise cursor.error(f"there are more than the {len(tensors)} tensors that the header"
                           " announces: it is corrupted")


def _complain(cursor, strict, message, tensor=None):
    if strict:
        raise cursor.error(message, tensor=tensor)
    warnings.warn(f"{cursor.path}: {message}", stacklevel=2)
