"""Unigram language models: SentencePiece's normalization, and the best way to cover a text."""

from libc.float cimport DBL_MAX
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from llama_gguf.engine.match cimport Beginnings
from llama_gguf.engine.texts cimport Texts, char_size, hash_start, hash_step

cdef enum:
    NONE = -1


cdef class Charsmap:
    """SentencePiece's precompiled normalization: a trie of texts, each with its replacement.

    The trie is an XOR-compressed double array (Kanda, Fujita, Fuketa 2018): of a unit, bits
    10-30 are its BASE (shifted by 8 if bit 9 is set), bit 8 says that a replacement follows,
    bits 0-7 and 31 are the label. Everything reachable is checked here, so that lookup() need
    not; ValueError says what is wrong.
    """
    cdef readonly bytes blob
    cdef const uint32_t *units
    cdef const uint8_t *texts
    cdef Py_ssize_t n_units, n_texts
    cdef uint32_t *copy

    def __cinit__(self, bytes blob):
        cdef Py_ssize_t i
        cdef const uint8_t *at = <const uint8_t*>(<char*>blob)
        cdef uint32_t size
        if len(blob) < 4:
            raise ValueError("is shorter than its own header")
        size = little(at)
        if size > len(blob) - 5:
            raise ValueError(f"states a trie of {size} bytes, but has {len(blob) - 4} in all")
        self.blob, self.n_units = blob, size // 4
        self.texts, self.n_texts = at + 4 + size, len(blob) - 4 - size
        if self.texts[self.n_texts - 1] != 0:
            raise ValueError("ends inside a replacement text")
        self.copy = <uint32_t*>malloc(4 * max(self.n_units, 1))
        if self.copy == NULL:
            raise MemoryError
        for i in range(self.n_units):
            self.copy[i] = little(at + 4 + 4 * i)
        self.units = self.copy
        self.validate()

    def __dealloc__(self):
        free(self.copy)

    cdef int validate(self) except -1:
        cdef bytearray seen = bytearray(self.n_units)
        cdef list open = [base(self.units[0])] if self.n_units else []
        cdef uint32_t node, child, unit, c
        while open:
            node = open.pop()
            if (node | 0xFF) >= <size_t>self.n_units:
                raise ValueError("has a trie that points outside of itself")
            if seen[node]:
                continue
            seen[node] = 1
            for c in range(1, 256):
                unit = self.units[node ^ c]
                if (unit & LABEL) != c:
                    continue
                child = node ^ c ^ base(unit)
                if child >= <size_t>self.n_units:
                    raise ValueError("has a trie that points outside of itself")
                if (unit >> 8) & 1 and (self.units[child] & VALUE) >= <size_t>self.n_texts:
                    raise ValueError("points outside of its replacement texts")
                open.append(child)
        return 0

    cdef Py_ssize_t lookup(self, const uint8_t *at, Py_ssize_t size,
                           const uint8_t **text) noexcept nogil:
        """Bytes of the longest text in the trie, 0 if none; `text` is its replacement."""
        cdef Py_ssize_t i, best = 0
        cdef uint32_t node, unit
        if self.n_units == 0:
            return 0
        node = base(self.units[0])
        for i in range(size):
            unit = self.units[node ^ at[i]]
            if at[i] == 0 or (unit & LABEL) != at[i]:
                break
            node = node ^ at[i] ^ base(unit)
            if (unit >> 8) & 1:
                best, text[0] = i + 1, self.texts + (self.units[node] & VALUE)
        return best


cdef uint32_t LABEL = 0x800000FF
cdef uint32_t VALUE = 0x7FFFFFFF


cdef inline uint32_t base(uint32_t unit) noexcept nogil:
    return (unit >> 10) << ((unit & 0x200) >> 6)


cdef inline uint32_t little(const uint8_t *at) noexcept nogil:
    return at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24


SPACE = "▁".encode()


def normalize(bytes data, Charsmap charsmap, Texts kept, bint prefix, bint merge):
    """UTF-8 as a Unigram vocabulary expects it: mapped, with "▁" for spaces.

    `kept`: all beginnings of user-defined tokens; what they match is not mapped. `prefix` puts
    one space in front of the first word, `merge` one in front of every word, whatever there was.
    """
    cdef const uint8_t *at = <const uint8_t*>(<char*>data)
    cdef const uint8_t *text
    cdef Py_ssize_t size = len(data), pos = 0, step, n, i
    cdef bint inside = False, prepended = False
    cdef bytearray out = bytearray()
    cdef const uint8_t *broken = b"\xEF\xBF\xBD"
    while pos < size:
        step = n = started(kept, at + pos, size - pos)
        text = at + pos
        if step == 0 and charsmap is not None:
            step = charsmap.lookup(at + pos, size - pos, &text)
            while step and text[n]:
                n += 1
        if step == 0:
            step = n = min(char_size(at[pos]), size - pos)
            if at[pos] & 0xC0 == 0x80:      # `kept` ended inside a character
                text, n = broken, 3
        for i in range(n):
            if text[i] != 32:
                if not inside:
                    inside = True
                    if (prefix and not prepended) or merge:
                        out.extend(SPACE)
                        prepended = True
                out.append(text[i])
            else:
                inside = False
                if not merge:
                    out.extend(SPACE)
        pos += step
    return bytes(out)


cdef Py_ssize_t started(Texts beginnings, const uint8_t *at, Py_ssize_t size) noexcept nogil:
    """How far `at` goes along with one of some strings, all of whose beginnings are given."""
    cdef uint64_t h = hash_start()
    cdef Py_ssize_t n
    for n in range(min(size, beginnings.longest)):
        h = hash_step(h, at[n])
        if beginnings.probe(h, at, n + 1) == NONE:
            return n
    return min(size, beginnings.longest)


cdef struct Step:
    # The best way to cover a text up to (or from) here: its score, last token and other end.
    double score
    int32_t token
    int32_t other


def viterbi(Texts texts, Beginnings beginnings, const double[::1] scores, bytes data,
            int32_t unknown, double unknown_score):
    """Token ids with the highest sum of scores; neighbouring unknown characters are one token.

    A token with a NaN score takes no part. Of equal sums the one found first wins.
    """
    cdef const uint8_t *at = <const uint8_t*>(<char*>data)
    cdef Py_ssize_t size = len(data), pos = 0, n, width
    cdef Step *best = <Step*>malloc((size + 1) * sizeof(Step))
    cdef uint64_t h
    cdef int32_t number
    cdef bint alone
    if best == NULL:
        raise MemoryError
    try:
        for n in range(size + 1):
            best[n].score, best[n].token, best[n].other = -DBL_MAX, unknown, 0
        best[0].score = 0
        while pos < size:
            width, alone, h = min(char_size(at[pos]), size - pos), False, hash_start()
            for n in range(1, min(size - pos, texts.longest) + 1):
                h = hash_step(h, at[pos + n - 1])
                if not beginnings.may(h):
                    break
                number = texts.probe(h, at + pos, n)
                if number != NONE and scores[number] == scores[number]:
                    alone |= n == width
                    improve(best, pos, pos + n, number, scores[number])
            if not alone:
                improve(best, pos, pos + width, unknown, unknown_score)
            pos += width
        return backtrack(best, size, unknown)
    finally:
        free(best)


cdef inline void improve(Step *best, Py_ssize_t start, Py_ssize_t end, int32_t token,
                         double score) noexcept nogil:
    score += best[start].score
    if score > best[end].score:
        best[end].score, best[end].token, best[end].other = score, token, <int32_t>start


cdef list backtrack(Step *best, Py_ssize_t pos, int32_t unknown):
    cdef list out = []
    cdef int32_t last = NONE
    while pos > 0:
        if best[pos].token != unknown or last != unknown:
            out.append(best[pos].token)
        last, pos = best[pos].token, best[pos].other
    out.reverse()
    return out


def cover(Texts texts, Beginnings beginnings, const double[::1] scores, bytes data,
          double unknown_score):
    """Like viterbi(), from the end, the longest of equals first; unknown bytes are -1 - byte."""
    cdef const uint8_t *at = <const uint8_t*>(<char*>data)
    cdef Py_ssize_t size = len(data), pos = size, n
    cdef Step *best = <Step*>malloc((size + 1) * sizeof(Step))
    cdef uint64_t h
    cdef int32_t number
    cdef list out = []
    if best == NULL:
        raise MemoryError
    try:
        for n in range(size):
            best[n].score, best[n].token, best[n].other = -DBL_MAX, NONE, <int32_t>(n + 1)
        best[size].score = 0
        while pos > 0:
            pos -= 1
            while pos > 0 and (at[pos] & 0xC0) == 0x80:
                pos -= 1
            n = min(char_size(at[pos]), size - pos)
            best[pos].score = best[pos + n].score + unknown_score
            best[pos].token, best[pos].other = NONE, <int32_t>(pos + n)
            h = hash_start()
            for n in range(1, min(size - pos, texts.longest) + 1):
                h = hash_step(h, at[pos + n - 1])
                if not beginnings.may(h):
                    break
                number = texts.probe(h, at + pos, n)
                if number != NONE and scores[number] == scores[number]:
                    if best[pos + n].score + scores[number] >= best[pos].score:
                        best[pos].score = best[pos + n].score + scores[number]
                        best[pos].token, best[pos].other = number, <int32_t>(pos + n)
        pos = 0
        while pos < size:
            if best[pos].token >= 0:
                out.append(best[pos].token)
            else:
                for n in range(pos, best[pos].other):
                    out.append(-1 - at[n])
            pos = best[pos].other
        return out
    finally:
        free(best)
