"""Length-prefixed strings (u64 little-endian, then bytes) walked at memory speed.

Every function checks every length against the buffer again: the file may have been changed in
place since it was opened. The same four in plain Python: `llama_gguf.gguf.strings`.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy


cdef Py_ssize_t step(const unsigned char[::1] buf, Py_ssize_t pos) noexcept nogil:
    """Where the string at `pos` ends, or -1 if that is past the end of the buffer."""
    cdef Py_ssize_t left = buf.shape[0] - pos - 8
    cdef uint64_t length
    if left < 0:
        return -1
    memcpy(&length, &buf[pos], 8)
    if length > <uint64_t>left:
        return -1
    return pos + 8 + <Py_ssize_t>length


def skip(const unsigned char[::1] buf, Py_ssize_t pos, Py_ssize_t count):
    """Position after `count` strings; -1 - i where string i runs past the end."""
    cdef Py_ssize_t i, end
    with nogil:
        for i in range(count):
            end = step(buf, pos)
            if end < 0:
                pos = -1 - i
                break
            pos = end
    return pos


def starts(const unsigned char[::1] buf, Py_ssize_t pos, Py_ssize_t count):
    """Positions of the length prefixes, as a memoryview of int64."""
    cdef Py_ssize_t i
    store = bytearray(8 * count)
    view = memoryview(store).cast("q")
    cdef int64_t[::1] out = view
    for i in range(count):
        out[i] = pos
        pos = checked(buf, pos)
    return view


def texts(const unsigned char[::1] buf, Py_ssize_t pos, Py_ssize_t count):
    """The strings as str; bytes that are not UTF-8 become surrogate escapes."""
    cdef Py_ssize_t _i, end
    cdef list out = []
    for _i in range(count):
        end = checked(buf, pos)
        out.append(PyUnicode_DecodeUTF8(
            <const char*>&buf[0] + pos + 8, end - pos - 8, "surrogateescape"))
        pos = end
    return out


def raws(const unsigned char[::1] buf, Py_ssize_t pos, Py_ssize_t count):
    """The strings as bytes."""
    cdef Py_ssize_t _i, end
    cdef list out = []
    for _i in range(count):
        end = checked(buf, pos)
        out.append(PyBytes_FromStringAndSize(
            <const char*>&buf[0] + pos + 8, end - pos - 8))
        pos = end
    return out


cdef Py_ssize_t checked(const unsigned char[::1] buf, Py_ssize_t pos) except -1:
    cdef Py_ssize_t end = step(buf, pos)
    if end < 0:
        raise ValueError("a string runs past the end: the file changed since it was opened")
    return end
