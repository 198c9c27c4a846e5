"""Scans over a text for whole strings of the vocabulary, and over its characters."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

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


cdef Py_ssize_t longest(Texts texts, Beginnings beginnings, const uint8_t *at, Py_ssize_t size,
                        int32_t *found) noexcept nogil:
    """Bytes of the longest string that `at` starts with, and its number; 0 if there is none."""
    cdef Py_ssize_t n, step = 0
    cdef int32_t number
    cdef uint64_t h = hash_start()
    for n in range(1, min(size, texts.longest) + 1):
        h = hash_step(h, at[n - 1])
        if not beginnings.may(h):
            break
        number = texts.probe(h, at, n)
        if number != NONE:
            found[0], step = number, n
    return step


def greedy(Texts texts, Beginnings beginnings, bytes data, int32_t unknown):
    """Numbers of the longest strings that fit one after another; a byte where none fits is `unknown`.

    `unknown` < 0 stands for nothing.
    """
    cdef const uint8_t *at = <const uint8_t*>(<char*>data)
    cdef Py_ssize_t size = len(data), pos = 0, step
    cdef int32_t found = NONE
    cdef list out = []
    while pos < size:
        step = longest(texts, beginnings, at + pos, size - pos, &found)
        if step or unknown >= 0:
            out.append(found if step else unknown)
        pos += max(step, 1)
    return out


cdef inline bint is_mark(uint8_t c) noexcept nogil:
    return 33 <= c <= 47 or 58 <= c <= 64 or 91 <= c <= 96 or 123 <= c <= 126


cdef inline bint is_gap(uint8_t c) noexcept nogil:
    return c == 32 or c == 9 or c == 10 or c == 13


def word_pieces(Texts texts, Beginnings beginnings, bytes data, int32_t unknown):
    """Numbers of the strings that make up each word of a UTF-8 text, the longest first, after a "▁".

    Words are what stands between ASCII white space, and every ASCII punctuation mark. A word that the strings do not
    make up is `unknown`; `unknown` < 0 stands for nothing.
    """
    cdef const uint8_t *at = <const uint8_t*>(<char*>data)
    cdef Py_ssize_t size = len(data), pos = 0, end, n = 0
    cdef uint8_t *word = <uint8_t*>malloc(size + 3)
    cdef int32_t *ids = <int32_t*>malloc((4 * size + 3) * sizeof(int32_t))
    try:
        if word == NULL or ids == NULL:
            raise MemoryError
        word[0], word[1], word[2] = 0xE2, 0x96, 0x81
        with nogil:
            while pos < size:
                if is_gap(at[pos]):
                    pos += 1
                    continue
                end = pos + 1
                while not is_mark(at[pos]) and end < size and not is_gap(at[end]) and not is_mark(at[end]):
                    end += 1
                memcpy(word + 3, at + pos, end - pos)
                n = one_word(texts, beginnings, word, end - pos + 3, unknown, ids, n)
                pos = end
        return [ids[pos] for pos in range(n)]
    finally:
        free(word)
        free(ids)


cdef Py_ssize_t one_word(Texts texts, Beginnings beginnings, const uint8_t *word, Py_ssize_t size, int32_t unknown,
                         int32_t *ids, Py_ssize_t n) noexcept nogil:
    """Puts a word's numbers behind the first `n`; how many there are then. Most words are strings as they are."""
    cdef Py_ssize_t pos = 0, step, start = n
    ids[n] = texts.lookup(word, size)
    if ids[n] != NONE:
        return n + 1
    while pos < size:
        step = longest(texts, beginnings, word + pos, size - pos, &ids[n])
        if step == 0:
            ids[start] = unknown
            return start + (unknown >= 0)
        pos += step
        n += 1
    return n
