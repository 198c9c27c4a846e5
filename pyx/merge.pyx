"""The merge loop that byte pair encoding and SentencePiece share, and SentencePiece itself.

Encoding is O(n log n) in the length of a word, whatever the text.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from llama_gguf.engine.texts cimport Texts, char_size

cdef enum:
    NONE = -1


cdef void push(Word *w, uint64_t key) noexcept nogil:
    cdef Py_ssize_t at = w.n_heap, up
    w.n_heap += 1
    while at > 0:
        up = (at - 1) >> 1
        if w.heap[up] <= key:
            break
        w.heap[at] = w.heap[up]
        at = up
    w.heap[at] = key


cdef uint64_t pop(Word *w) noexcept nogil:
    cdef uint64_t top = w.heap[0], last
    cdef Py_ssize_t at = 0, down = 1, n
    w.n_heap -= 1
    n, last = w.n_heap, w.heap[w.n_heap]
    while down < n:
        down += down + 1 < n and w.heap[down + 1] < w.heap[down]
        if last <= w.heap[down]:
            break
        w.heap[at] = w.heap[down]
        at, down = down, 2 * down + 1
    w.heap[at] = last
    return top


cdef class Merger:
    """Joins neighbouring symbols, the best pair first, the leftmost of equals first.

    A symbol that is no token at the end becomes `fallback[byte]` (up to two ids) byte by byte.
    """
    def __cinit__(self, Texts texts, *args, **kwargs):
        self.texts, self.n_tokens = texts, texts.count

    def set_fallback(self, list rows):
        """`rows[byte]` are the ids (at most two) that stand for a byte that is in no token."""
        cdef int byte, k
        for byte in range(256):
            for k in range(2):
                self.fallback[byte][k] = rows[byte][k] if k < len(rows[byte]) else NONE

    cdef int32_t first(self, const uint8_t *at, Py_ssize_t size) noexcept nogil:
        return self.texts.lookup(at, size)

    cdef int32_t whole(self, const uint8_t *at, Py_ssize_t size) noexcept nogil:
        """The token that a word is without any merging, NONE if merges decide."""
        return NONE

    cdef int32_t join(self, Word *w, int32_t i, int32_t j, uint32_t *order) noexcept nogil:
        return NONE

    cdef void consider(self, Word *w, int32_t i) noexcept nogil:
        """Symbol i has a new neighbour on the right: may they merge, and when?"""
        cdef int32_t j = w.next[i]
        w.merged[i] = NONE if j == NONE else self.join(w, i, j, &w.order[i])
        if w.merged[i] != NONE:
            push(w, (<uint64_t>w.order[i] << 32) | <uint32_t>i)

    cdef int32_t split(self, Word *w, Py_ssize_t size) noexcept nogil:
        """Lays out the symbols that a word of `size` bytes starts as; returns their number."""
        cdef int32_t n = 0
        cdef Py_ssize_t pos = 0, step
        while pos < size:
            step = 1 if self.by_byte else min(char_size(w.data[pos]), size - pos)
            w.begin[n], w.stop[n] = <int32_t>pos, <int32_t>(pos + step)
            w.prev[n], w.next[n] = n - 1, n + 1
            w.token[n] = self.first(w.data + pos, step)
            pos += step
            n += 1
        w.next[n - 1] = NONE
        return n

    cdef void merge(self, Word *w, int32_t n) noexcept nogil:
        cdef uint64_t key
        cdef int32_t i, j
        w.n_heap = 0
        for i in range(n):
            self.consider(w, i)
        while w.n_heap:
            key = pop(w)
            i = <int32_t><uint32_t>key
            # An entry is outdated if its symbol is gone or now has another pair to offer.
            if w.stop[i] == NONE or w.merged[i] == NONE or w.order[i] != key >> 32:
                continue
            j = w.next[i]
            w.token[i], w.stop[i], w.next[i] = w.merged[i], w.stop[j], w.next[j]
            w.stop[j] = NONE
            if w.next[i] != NONE:
                w.prev[w.next[i]] = i
            self.consider(w, i)
            if w.prev[i] != NONE:
                self.consider(w, w.prev[i])

    cdef int32_t *emit(self, Word *w, int32_t *out) noexcept nogil:
        cdef int32_t i = 0, at, k
        while i != NONE:
            if 0 <= w.token[i] < self.n_tokens:
                out[0] = w.token[i]
                out += 1
            else:
                for at in range(w.begin[i], w.stop[i]):
                    for k in range(2):
                        if self.fallback[w.data[at]][k] != NONE:
                            out[0] = self.fallback[w.data[at]][k]
                            out += 1
            i = w.next[i]
        return out

    cdef int32_t *word(self, Word *w, Py_ssize_t size, int32_t *out) noexcept nogil:
        cdef int32_t known = self.whole(w.data, size)
        if known != NONE:
            out[0] = known
            return out + 1
        self.merge(w, self.split(w, size))
        return self.emit(w, out)

    def encode(self, bytes data, const int32_t[::1] ends):
        """Token ids of a text as UTF-8, in words that end before the characters `ends`.

        Words lie side by side; the last end is the number of characters.
        """
        cdef const uint8_t *at = <const uint8_t*>(<char*>data)
        cdef Py_ssize_t size = len(data), k, longest, pos = 0, stop, chars = 0
        cdef int32_t *store
        cdef int32_t *out
        cdef int32_t *ids
        cdef Word w
        if size > 0x3FFFFFFF:
            raise ValueError(f"a text of {size} bytes is too long to be one text: split it")
        longest = self.longest_word(at, size, ends)
        store = <int32_t*>malloc(4 * (7 * longest + 1))
        w.heap = <uint64_t*>malloc(8 * (3 * longest + 1))
        ids = <int32_t*>malloc(8 * (size + 1))
        try:
            if store == NULL or w.heap == NULL or ids == NULL:
                raise MemoryError
            w.begin, w.stop, w.prev = store, store + longest, store + 2 * longest
            w.next, w.token = store + 3 * longest, store + 4 * longest
            w.merged, w.order = store + 5 * longest, <uint32_t*>(store + 6 * longest)
            out = ids
            with nogil:
                for k in range(ends.shape[0]):
                    stop = advance(at, size, pos, ends[k] - chars)
                    w.data = at + pos
                    if stop > pos:
                        out = self.word(&w, stop - pos, out)
                    pos, chars = stop, ends[k]
            return [ids[k] for k in range(out - ids)]
        finally:
            free(store)
            free(w.heap)
            free(ids)

    cdef Py_ssize_t longest_word(self, const uint8_t *at, Py_ssize_t size,
                                 const int32_t[::1] ends) noexcept:
        cdef Py_ssize_t k, pos = 0, stop, chars = 0, longest = 1
        for k in range(ends.shape[0]):
            stop = advance(at, size, pos, ends[k] - chars)
            longest = max(longest, stop - pos)
            pos, chars = stop, ends[k]
        return longest


cdef Py_ssize_t advance(const uint8_t *at, Py_ssize_t size, Py_ssize_t pos,
                        Py_ssize_t chars) noexcept nogil:
    """Where `chars` characters after `pos` end, at most `size`."""
    while chars > 0 and pos < size:
        pos += char_size(at[pos])
        chars -= 1
    return min(pos, size)


cdef inline bint is_space(const uint8_t *at) noexcept nogil:
    return at[0] == 0xE2 and at[1] == 0x96 and at[2] == 0x81      # "▁" in UTF-8


cdef class Spm(Merger):
    """Merges two symbols whenever their text is a token; the one with the higher score first.

    A text is cut before "▁" wherever no token has "▁" after the byte that stands there, which
    changes nothing but the time: no merge could reach across.
    """
    cdef uint32_t *orders
    cdef bint[256] crosses      # is there a token with "▁" after this byte?

    def __cinit__(self, Texts texts, const float[::1] scores):
        cdef Py_ssize_t i
        cdef float score
        cdef uint32_t bits
        if scores.shape[0] < texts.count:
            raise ValueError(f"{scores.shape[0]} scores for {texts.count} tokens")
        self.by_byte = False
        self.orders = <uint32_t*>malloc(4 * max(texts.count, 1))
        if self.orders == NULL:
            raise MemoryError
        for i in range(texts.count):
            score = scores[i] + <float>0.0     # -0.0 and 0.0 are equal scores
            if score != score:
                raise ValueError(f"of token {i} is not a number")
            memcpy(&bits, &score, 4)
            # Bits of a float, so turned that unsigned integers ascend while scores descend.
            self.orders[i] = bits if bits >> 31 else bits ^ 0x7FFFFFFF
        memset(self.crosses, 0, sizeof(self.crosses))
        for i in range(texts.count):
            self.note_crossing(texts.texts[i].at, texts.texts[i].size)

    def __dealloc__(self):
        free(self.orders)

    cdef void note_crossing(self, const uint8_t *at, Py_ssize_t size) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(1, size - 2):
            if is_space(at + i) and (i < 3 or not is_space(at + i - 3)):
                self.crosses[at[i - 1]] = True

    def encode_text(self, bytes data):
        """Token ids of a text as UTF-8 with "▁" for spaces."""
        cdef const uint8_t *at = <const uint8_t*>(<char*>data)
        cdef Py_ssize_t size = len(data), pos, n = 0
        cdef int32_t chars = 0
        cdef int32_t[::1] ends = memoryview(bytearray(4 * (size // 3 + 1))).cast("i")
        for pos in range(size):
            if 0 < pos < size - 2 and is_space(at + pos) and not self.crosses[at[pos - 1]]:
                if pos < 3 or not is_space(at + pos - 3):
                    ends[n] = chars
                    n += 1
            chars += at[pos] & 0xC0 != 0x80
        ends[n] = chars
        return self.encode(data, ends[:n + 1])

    cdef int32_t join(self, Word *w, int32_t i, int32_t j, uint32_t *order) noexcept nogil:
        cdef int32_t token = self.texts.lookup(w.data + w.begin[i], w.stop[j] - w.begin[i])
        if token != NONE:
            order[0] = self.orders[token]
        return token
