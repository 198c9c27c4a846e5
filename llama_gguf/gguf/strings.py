"""Arrays of strings, each a u64 length and its bytes: nothing but a walk finds the next one.

A 262k-token vocabulary takes the compiled walk 2 ms; the Python twins below serve where the
engine is not built or the machine is big-endian.
"""

import contextlib
import struct
import sys

_length = struct.Struct("<Q").unpack_from


def skip(buf, pos, count):
    """Position after `count` strings; -1 - i where string i runs past the end."""
    size = len(buf)
    for i in range(count):
        if pos + 8 > size:
            return -1 - i
        pos += 8 + _length(buf, pos)[0]
        if pos > size:
            return -1 - i
    return pos


def starts(buf, pos, count):
    """Positions of the length prefixes, as a memoryview of int64."""
    out = memoryview(bytearray(8 * count)).cast("q")
    for i in range(count):
        out[i] = pos
        pos = _end(buf, pos)
    return out


def texts(buf, pos, count):
    """The strings as str; bytes that are not UTF-8 become surrogate escapes."""
    return [raw.decode("utf-8", "surrogateescape") for raw in raws(buf, pos, count)]


def raws(buf, pos, count):
    """The strings as bytes."""
    out = []
    for _ in range(count):
        end = _end(buf, pos)
        out.append(bytes(buf[pos + 8 : end]))
        pos = end
    return out


def _end(buf, pos):
    end = skip(buf, pos, 1)
    if end < 0:
        raise ValueError("a string runs past the end: the file changed since it was opened")
    return end


if sys.byteorder == "little":
    with contextlib.suppress(ImportError):
        from llama_gguf.engine import walk

        skip, starts, texts, raws = walk.skip, walk.starts, walk.texts, walk.raws
