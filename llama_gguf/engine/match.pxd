from libc.stdint cimport uint8_t, uint64_t


cdef class Beginnings:
    """Says of most texts that none of some strings starts with them: a filter of one hash."""
    cdef uint8_t *bits
    cdef uint64_t mask

    cdef bint may(self, uint64_t h) noexcept nogil
