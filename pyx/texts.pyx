"""The strings of a vocabulary, numbered, and found by their bytes.

Nothing here makes Python objects of them: the table points into the packed strings of the file
(u64 length, then bytes), so that 150,000 tokens are ready in a few milliseconds.
"""

from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memset

cdef enum:
    NONE = -1


cdef Py_ssize_t unpack(const uint8_t[::1] packed, Py_ssize_t pos) except -1:
    """Size of the string whose length prefix is at `pos`, checked against the buffer."""
    cdef uint64_t size = 0
    cdef int i
    if packed.shape[0] - pos >= 8:
        for i in range(8):
            size |= <uint64_t>packed[pos + i] << (8 * i)
        if size <= <uint64_t>(packed.shape[0] - pos - 8) and size < 0x7FFFFFFF:
            return <Py_ssize_t>size
    raise ValueError("packed strings end early: the file changed since it was opened")


cdef class Texts:
    """Strings numbered from 0 in the order of the file and found by their bytes.

    Of equal strings the first is found. `longest` is in bytes, `empty` counts empty strings.
    """

    def __cinit__(self, bytes packed, Py_ssize_t count):
        self.owners = [packed]
        self.reserve(count)
        self.rehash(count + count // 2)
        self.read(packed, count)

    cdef int read(self, bytes packed, Py_ssize_t count) except -1:
        """In batches, so that the table's cache lines are on their way when they are needed."""
        cdef const uint8_t[::1] view = packed
        cdef uint64_t[32] h
        cdef Py_ssize_t pos = 0, i, n
        while self.count < count:
            n = min(32, count - self.count)
            for i in range(self.count, self.count + n):
                self.texts[i].size = <int32_t>unpack(view, pos)
                self.texts[i].at = <const uint8_t*>(<char*>packed) + pos + 8
                self.empty += self.texts[i].size == 0
                self.longest = max(self.longest, self.texts[i].size)
                pos += 8 + self.texts[i].size
                h[i & 31] = hashed(self.texts[i].at, self.texts[i].size)
                LG_PREFETCH(&self.slots[slot_of(h[i & 31]) & self.mask])
            for i in range(self.count, self.count + n):
                self.place(i, h[i & 31])
            self.count += n
        return 0

    def __dealloc__(self):
        free(self.texts)
        free(self.slots)
        free(self.bits)

    def __len__(self):
        return self.count

    def __getitem__(self, Py_ssize_t i):
        if not 0 <= i < self.count:
            raise IndexError(i)
        return self.texts[i].at[:self.texts[i].size]

    def find(self, bytes text):
        """Number of the string, -1 if there is none."""
        return self.lookup(<const uint8_t*>(<char*>text), len(text))

    cdef int reserve(self, Py_ssize_t room) except -1:
        cdef void *grown = realloc(self.texts, max(room, 1) * sizeof(Text))
        if grown == NULL:
            raise MemoryError
        self.texts, self.room = <Text*>grown, room
        return 0

    cdef int rehash(self, Py_ssize_t capacity) except -1:
        cdef Py_ssize_t size = 16, i
        while size < capacity:
            size *= 2
        free(self.slots)
        self.slots = <Slot*>malloc(size * sizeof(Slot))
        if self.slots == NULL:
            raise MemoryError
        memset(self.slots, 0xFF, size * sizeof(Slot))
        free(self.bits)
        self.bits = <uint8_t*>calloc(size, 1)
        if self.bits == NULL:
            raise MemoryError
        self.mask, self.bits_mask, self.distinct = size - 1, size - 1, 0
        for i in range(self.count):
            self.place(i, hashed(self.texts[i].at, self.texts[i].size))
        return 0

    cdef void place(self, Py_ssize_t i, uint64_t h) noexcept nogil:
        """Puts string `i` where probe() will look for it, unless an equal one is there."""
        cdef uint64_t slot = slot_of(h) & self.mask
        cdef Text *other
        while self.slots[slot].number != NONE:
            other = &self.texts[self.slots[slot].number]
            if (self.slots[slot].hash == h and other.size == self.texts[i].size
                    and memcmp(other.at, self.texts[i].at, other.size) == 0):
                return
            slot = (slot + 1) & self.mask
        self.slots[slot].hash, self.slots[slot].number = h, <int32_t>i
        self.bits[h & self.bits_mask] = 1
        self.distinct += 1

    cdef int32_t add(self, const uint8_t *at, Py_ssize_t size) except -2:
        """The number of a new string. `at` must outlive this table."""
        cdef Py_ssize_t i = self.count
        if i >= self.room:
            self.reserve(2 * i + 64)
        if 4 * i > 3 * <Py_ssize_t>self.mask:
            self.rehash(2 * i)
        self.texts[i].at, self.texts[i].size = at, <int32_t>size
        self.count += 1
        self.longest = max(self.longest, size)
        self.place(i, hashed(at, size))
        return <int32_t>i

    cdef int32_t keep(self, bytes text) except -2:
        """add() for a string that is not in the packed ones."""
        self.owners.append(text)
        return self.add(<const uint8_t*>(<char*>text), len(text))

    cdef int32_t lookup(self, const uint8_t *at, Py_ssize_t size) noexcept nogil:
        return NONE if size > self.longest else self.probe(hashed(at, size), at, size)

    cdef int32_t probe(self, uint64_t h, const uint8_t *at, Py_ssize_t size) noexcept nogil:
        """lookup() for bytes whose hash is known."""
        cdef uint64_t slot = slot_of(h) & self.mask
        cdef Text *text
        if self.bits[h & self.bits_mask] == 0:
            return NONE
        while self.slots[slot].number != NONE:
            if self.slots[slot].hash == h:
                text = &self.texts[self.slots[slot].number]
                if text.size == size and memcmp(text.at, at, size) == 0:
                    return self.slots[slot].number
            slot = (slot + 1) & self.mask
        return NONE

    cdef int32_t trusted(self, uint64_t h) noexcept nogil:
        """lookup() by hash alone, for texts of the file itself: 64 bits tell those apart."""
        cdef uint64_t slot = slot_of(h) & self.mask
        while self.slots[slot].number != NONE and self.slots[slot].hash != h:
            slot = (slot + 1) & self.mask
        return self.slots[slot].number
