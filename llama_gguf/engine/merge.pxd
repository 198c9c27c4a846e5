from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from llama_gguf.engine.texts cimport Texts


cdef struct Word:
    # One word while it is merged; symbol i is bytes begin[i]..stop[i], gone where stop is -1.
    const uint8_t *data
    int32_t *begin
    int32_t *stop
    int32_t *prev
    int32_t *next
    int32_t *token      # number of the symbol's text, NONE where it has none
    int32_t *merged     # number of the text of symbols i and next[i] together
    uint32_t *order     # how early those two merge: lower first
    uint64_t *heap      # order << 32 | i, at most three entries a symbol
    Py_ssize_t n_heap


cdef class Merger:
    """Joins neighbouring symbols, the best pair first, the leftmost of equals first."""
    cdef Texts texts
    cdef readonly Py_ssize_t n_tokens
    cdef int32_t[256][2] fallback
    cdef bint by_byte           # symbols start as bytes, else as UTF-8 characters

    cdef int32_t first(self, const uint8_t *at, Py_ssize_t size) noexcept nogil
    cdef int32_t whole(self, const uint8_t *at, Py_ssize_t size) noexcept nogil
    cdef int32_t join(self, Word *w, int32_t i, int32_t j, uint32_t *order) noexcept nogil
    cdef void consider(self, Word *w, int32_t i) noexcept nogil
    cdef int32_t split(self, Word *w, Py_ssize_t size) noexcept nogil
    cdef void merge(self, Word *w, int32_t n) noexcept nogil
    cdef int32_t *emit(self, Word *w, int32_t *out) noexcept nogil
    cdef int32_t *word(self, Word *w, Py_ssize_t size, int32_t *out) noexcept nogil
    cdef Py_ssize_t longest_word(self, const uint8_t *at, Py_ssize_t size,
                                 const int32_t[::1] ends) noexcept
