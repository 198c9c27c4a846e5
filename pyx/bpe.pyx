"""Byte pair encoding: the pairs of a vocabulary and in which order they merge.

Merges are read from the packed strings of the file, so that 150,000 of them are ready in a few
hundredths of a second.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from llama_gguf.engine.merge cimport Merger, Word
from llama_gguf.engine.texts cimport (
    LG_PREFETCH, Text, Texts, hash_start, hash_step, slot_of, unpack,
)

cdef enum:
    NONE = -1


cdef struct Pair:
    uint64_t key        # left << 32 | right; FREE where the slot is
    uint32_t rank
    int32_t merged


cdef struct Merge:
    # A line of the merges while it is read: two texts, `gap` bytes and what follows a space.
    const uint8_t *at
    Py_ssize_t size, gap
    uint64_t left_hash, right_hash, joined_hash
    int32_t left, right


cdef inline uint64_t pair_key(int32_t left, int32_t right) noexcept nogil:
    return (<uint64_t>left << 32) | <uint32_t>right


cdef uint64_t FREE = 0xFFFFFFFFFFFFFFFF
cdef uint64_t GOLDEN = 0x9E3779B97F4A7C15  # spreads neighbouring pairs over the table


cdef class Bpe(Merger):
    """Merges the pairs that the file lists, in the order in which it lists them.

    `byte_text[b]` is the text that byte b is written as in the vocabulary; without it symbols
    are UTF-8 characters. `ignore_merges`: a word that is a token is that token.
    Texts that appear only in merges get numbers above the tokens; `strays` counts the merges
    whose result is no token, `longest_stray` is the longest such result in bytes.
    """
    cdef readonly Py_ssize_t n_merges, strays, longest_stray
    cdef Pair *pairs
    cdef uint64_t mask
    cdef Text[256] spelling
    cdef list byte_text
    cdef int32_t[256] byte_token
    cdef bint ignore_merges, join_newlines

    def __cinit__(self, Texts texts, bytes merges, Py_ssize_t count, list byte_text=None,
                  bint ignore_merges=False, bint join_newlines=False):
        self.n_merges = count
        self.ignore_merges, self.join_newlines = ignore_merges, join_newlines
        self.by_byte, self.byte_text = byte_text is not None, byte_text
        self.make_room(count)
        self.read_merges(merges, count)
        if self.by_byte:
            self.read_bytes(byte_text)

    def __dealloc__(self):
        free(self.pairs)

    cdef int make_room(self, Py_ssize_t count) except -1:
        cdef Py_ssize_t size = 16
        while 3 * size < 4 * count:
            size *= 2
        self.pairs = <Pair*>malloc(size * sizeof(Pair))
        if self.pairs == NULL:
            raise MemoryError
        memset(self.pairs, 0xFF, size * sizeof(Pair))
        self.mask = size - 1
        return 0

    cdef int read_bytes(self, list byte_text) except -1:
        cdef int b
        cdef bytes text
        for b in range(256):
            text = byte_text[b]
            self.spelling[b].at, self.spelling[b].size = <const uint8_t*>(<char*>text), len(text)
            self.byte_token[b] = self.texts.lookup(self.spelling[b].at, len(text))
        return 0

    cdef int read_merges(self, bytes merges, Py_ssize_t count) except -1:
        """A merge is two texts with a space between; the first byte is never that space.

        In batches, so that the tables' cache lines are on their way when they are needed.
        """
        cdef const uint8_t[::1] view = merges
        cdef Merge[32] batch
        cdef Py_ssize_t rank = 0, pos = 0, i, n
        while rank < count:
            n = min(32, count - rank)
            for i in range(n):
                batch[i].at = <const uint8_t*>(<char*>merges) + pos + 8
                batch[i].size = unpack(view, pos)
                pos += 8 + batch[i].size
                self.hash_merge(&batch[i])
            for i in range(n):
                self.number_merge(&batch[i])
            for i in range(n):
                if batch[i].gap:
                    self.add_merge(&batch[i], <uint32_t>(rank + i))
            rank += n
        return 0

    cdef void hash_merge(self, Merge *m) noexcept nogil:
        cdef uint64_t h = hash_start(), right = hash_start()
        cdef Py_ssize_t i
        m.gap = 1
        while m.gap < m.size and m.at[m.gap] != 32:
            m.gap += 1
        if m.gap + 1 >= m.size:
            m.gap = 0
            return
        for i in range(m.gap):
            h = hash_step(h, m.at[i])
        m.left_hash = h
        for i in range(m.gap + 1, m.size):
            right, h = hash_step(right, m.at[i]), hash_step(h, m.at[i])
        m.right_hash, m.joined_hash = right, h
        LG_PREFETCH(&self.texts.slots[slot_of(m.left_hash) & self.texts.mask])
        LG_PREFETCH(&self.texts.slots[slot_of(m.right_hash) & self.texts.mask])
        LG_PREFETCH(&self.texts.slots[slot_of(m.joined_hash) & self.texts.mask])

    cdef int number_merge(self, Merge *m) except -1:
        if m.gap:
            m.left = self.texts.trusted(m.left_hash)
            if m.left == NONE:
                m.left = self.texts.keep(m.at[:m.gap])
            m.right = self.texts.trusted(m.right_hash)
            if m.right == NONE:
                m.right = self.texts.keep(m.at[m.gap + 1:m.size])
            LG_PREFETCH(&self.pairs[self.slot(pair_key(m.left, m.right))])
        return 0

    cdef int add_merge(self, Merge *m, uint32_t rank) except -1:
        cdef Pair *pair = self.find(m.left, m.right)
        if pair.key != FREE:      # listed twice: the earlier rank counts
            return 0
        pair.key, pair.rank = pair_key(m.left, m.right), rank
        pair.merged = self.texts.trusted(m.joined_hash)
        if not 0 <= pair.merged < self.n_tokens:
            self.strays += 1
            self.longest_stray = max(self.longest_stray, m.size - 1)
        if pair.merged == NONE:
            pair.merged = self.texts.keep(m.at[:m.gap] + m.at[m.gap + 1:m.size])
        return 0

    cdef uint64_t slot(self, uint64_t key) noexcept nogil:
        return ((key * GOLDEN) >> 32) & self.mask

    cdef Pair *find(self, int32_t left, int32_t right) noexcept nogil:
        """The slot of a pair, or the free one where it belongs."""
        cdef uint64_t key = pair_key(left, right), slot = self.slot(key)
        while self.pairs[slot].key != FREE and self.pairs[slot].key != key:
            slot = (slot + 1) & self.mask
        return &self.pairs[slot]

    def rank(self, bytes left, bytes right):
        """Which of the file's merges joins two texts, as the vocabulary spells them; None if none does."""
        cdef int32_t a = self.texts.lookup(<const uint8_t*>(<char*>left), len(left))
        cdef int32_t b = self.texts.lookup(<const uint8_t*>(<char*>right), len(right))
        cdef Pair *pair = self.find(a, b)
        return None if a == NONE or b == NONE or pair.key == FREE else pair.rank

    cdef int32_t first(self, const uint8_t *at, Py_ssize_t size) noexcept nogil:
        return self.byte_token[at[0]] if self.by_byte else self.texts.lookup(at, size)

    cdef int32_t join(self, Word *w, int32_t i, int32_t j, uint32_t *order) noexcept nogil:
        cdef Pair *pair
        if w.token[i] == NONE or w.token[j] == NONE:
            return NONE
        pair = self.find(w.token[i], w.token[j])
        if pair.key == FREE:
            return NONE
        order[0] = pair.rank
        return pair.merged

    cdef int32_t whole(self, const uint8_t *at, Py_ssize_t size) noexcept nogil:
        cdef Py_ssize_t i = 0
        cdef int32_t token
        if not self.ignore_merges:
            while self.join_newlines and i < size and at[i] == 10:
                i += 1
            if i == 0 or i < size:
                return NONE
        token = self.spelled(at, size) if self.by_byte else self.texts.lookup(at, size)
        return token if token < self.n_tokens else NONE

    cdef int32_t spelled(self, const uint8_t *at, Py_ssize_t size) noexcept nogil:
        """lookup() of bytes as the vocabulary writes them."""
        cdef uint8_t[1024] room
        cdef Py_ssize_t i, used = 0
        cdef Text *text
        for i in range(size):
            text = &self.spelling[at[i]]
            if used + text.size > 1024:
                return NONE
            memcpy(room + used, text.at, text.size)
            used += text.size
        return self.texts.lookup(room, used)
