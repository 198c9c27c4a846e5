"""GGUF bytes put together by hand, so that any of them can be wrong."""

import struct


def string(raw):
    raw = raw if isinstance(raw, bytes) else raw.encode()
    return struct.pack("<Q", len(raw)) + raw


def u32_key(key, value=1):
    return string(key) + struct.pack("<II", 4, value)


def str_key(key, value):
    return string(key) + struct.pack("<I", 8) + string(value)


def array_key(key, kind, n, payload=b""):
    return string(key) + struct.pack("<IIQ", 9, kind, n) + payload


def info(name, dims=(32,), type=0, offset=0):
    """A row of the tensor table, dimensions in the file's order; F32 unless told."""
    return string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, type, offset)


def gguf(keys=(), infos=(), data=b"", *, version=3, n_keys=None, n_tensors=None, pad=b"\0"):
    """A whole file; counts are those of the lists unless given."""
    n_keys = len(keys) if n_keys is None else n_keys
    n_tensors = len(infos) if n_tensors is None else n_tensors
    head = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys)
    head += b"".join(keys) + b"".join(infos)
    return head + pad * (-len(head) % 32) + data
