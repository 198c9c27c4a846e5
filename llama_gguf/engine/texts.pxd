from libc.stdint cimport int32_t, uint8_t, uint64_t

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define LG_PREFETCH(at) __builtin_prefetch(at)
    #else
    #define LG_PREFETCH(at)
    #endif
    """
    void LG_PREFETCH(const void *at) noexcept nogil


cdef struct Text:
    const uint8_t *at
    int32_t size


cdef struct Slot:
    uint64_t hash
    int32_t number     # -1: free


cdef class Texts:
    """Strings numbered from 0 in the order of the file and found by their bytes."""
    cdef readonly Py_ssize_t count, distinct, longest, empty
    cdef list owners        # of the bytes that `texts` points into
    cdef Text *texts
    cdef Slot *slots
    cdef uint8_t *bits      # a byte that is 0 where no string can have the hash: fits in cache
    cdef uint64_t mask, bits_mask
    cdef Py_ssize_t room

    cdef int32_t lookup(self, const uint8_t *at, Py_ssize_t size) noexcept nogil
    cdef int32_t trusted(self, uint64_t h) noexcept nogil
    cdef int32_t probe(self, uint64_t h, const uint8_t *at, Py_ssize_t size) noexcept nogil
    cdef int32_t add(self, const uint8_t *at, Py_ssize_t size) except -2
    cdef int32_t keep(self, bytes text) except -2
    cdef int reserve(self, Py_ssize_t room) except -1
    cdef int rehash(self, Py_ssize_t capacity) except -1
    cdef int read(self, bytes packed, Py_ssize_t count) except -1
    cdef void place(self, Py_ssize_t i, uint64_t h) noexcept nogil


cdef inline uint64_t slot_of(uint64_t h) noexcept nogil:
    return h ^ (h >> 29)


cdef inline uint64_t hash_start() noexcept nogil:
    return <uint64_t>0xCBF29CE484222325      # FNV-1a, 64 bits


cdef inline uint64_t hash_step(uint64_t h, uint8_t byte) noexcept nogil:
    return (h ^ byte) * <uint64_t>0x100000001B3


cdef inline Py_ssize_t char_size(uint8_t lead) noexcept nogil:
    """Bytes of the UTF-8 character that starts with `lead`; a stray byte counts as one."""
    return 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


cdef inline uint64_t hashed(const uint8_t *at, Py_ssize_t size) noexcept nogil:
    cdef uint64_t h = hash_start()
    cdef Py_ssize_t i
    for i in range(size):
        h = hash_step(h, at[i])
    return h


cdef Py_ssize_t unpack(const uint8_t[::1] packed, Py_ssize_t pos) except -1
