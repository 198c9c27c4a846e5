"""Scans over a text for whole strings of the vocabulary, and over its characters."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from llama_gguf.engine.texts cimport Texts, char_size, hash_start, hash_step

cdef enum:
    NONE = -1


def collapse(bytes data, const uint8_t[::1] classes):
    """One byte for each character of a UTF-8 text: ASCII as it is, `classes[character]` else."""
    cdef const uint8_t *at = <const uint8_t*>(<char*>data)
    cdef Py_ssize_t size = len(data), pos = 0, n = 0, step
    cdef bytearray out = bytearray(size)
    cdef uint8_t[::1] to = out
    cdef uint32_t char
    while pos < size:
        step = char_size(at[pos])
        if step == 1 or pos + step > size:
            to[n] = at[pos]
            step = 1
        else:
            char = at[pos] & (0x7F >> step)
            for i in range(1, step):
                char = (char << 6) | (at[pos + i] & 0x3F)
            to[n] = classes[char] if char < <uint32_t>classes.shape[0] else 0xD0
        n += 1
        pos += step
    return bytes(out[:n])


cdef class Beginnings:
    """Says of most texts that none of some strings starts with them: a filter of one hash.

    `wanted` (bytes, one for each string) leaves strings out where it is 0.
    """

    def __cinit__(self, Texts texts, const uint8_t[::1] wanted=None):
        cdef Py_ssize_t i, n, total = 0
        cdef uint64_t h, size = 1 << 10
        for i in range(texts.count):
            total += texts.texts[i].size
        while size < <uint64_t>min(8 * total, 1 << 26):
            size *= 2
        self.bits, self.mask = <uint8_t*>calloc(size // 8, 1), size - 1
        if self.bits == NULL:
            raise MemoryError
        for i in range(texts.count):
            if wanted is None or wanted[i]:
                h = hash_start()
                for n in range(texts.texts[i].size):
                    h = hash_step(h, texts.texts[i].at[n])
                    self.bits[(mixed(h) & self.mask) >> 3] |= 1 << (mixed(h) & 7)

    def __dealloc__(self):
        free(self.bits)

    cdef bint may(self, uint64_t h) noexcept nogil:
        return (self.bits[(mixed(h) & self.mask) >> 3] >> (mixed(h) & 7)) & 1


cdef inline uint64_t mixed(uint64_t h) noexcept nogil:
    return h ^ (h >> 31)


cdef class Finder:
    """Which of some strings occur in a text, at the cost of one pass over it."""
    cdef Texts texts
    cdef Beginnings beginnings
    cdef bint[256] starts       # is there one with this first byte?

    def __init__(self, Texts texts):
        cdef Py_ssize_t i
        self.texts, self.beginnings = texts, Beginnings(texts)
        for i in range(256):
            self.starts[i] = False
        for i in range(texts.count):
            self.starts[texts.texts[i].at[0]] = True

    def present(self, bytes data):
        """Numbers of the strings that occur, ascending. None of the strings is empty."""
        cdef bytearray seen = bytearray(self.texts.count)
        cdef uint8_t[::1] marks = seen
        cdef const uint8_t *at = <const uint8_t*>(<char*>data)
        cdef Py_ssize_t n = len(data), i, size
        cdef int32_t found
        cdef uint64_t h
        with nogil:
            for i in range(n):
                if not self.starts[at[i]]:
                    continue
                h = hash_start()
                for size in range(1, min(self.texts.longest, n - i) + 1):
                    h = hash_step(h, at[i + size - 1])
                    if not self.beginnings.may(h):
                        break
                    found = self.texts.probe(h, at + i, size)
                    if found != NONE:
                        marks[found] = 1
        return [i for i in range(self.texts.count) if marks[i]]


def greedy(Texts texts, Beginnings beginnings, bytes data, int32_t unknown, bint whole):
    """Numbers of the longest strings that fit one after another.

    Where none fits: with `whole` the result is [unknown] alone, else one byte is unknown.
    `unknown` < 0 stands for nothing.
    """
    cdef const uint8_t *at = <const uint8_t*>(<char*>data)
    cdef Py_ssize_t size = len(data), pos = 0, n, step
    cdef int32_t number = NONE, found = NONE
    cdef uint64_t h
    cdef list out = []
    while pos < size:
        h, step = hash_start(), 0
        for n in range(1, min(size - pos, texts.longest) + 1):
            h = hash_step(h, at[pos + n - 1])
            if not beginnings.may(h):
                break
            number = texts.probe(h, at + pos, n)
            if number != NONE:
                found, step = number, n
        if step:
            out.append(found)
        elif whole:
            return [unknown] if unknown >= 0 else []
        elif unknown >= 0:
            out.append(unknown)
        pos += max(step, 1)
    return out
