# One row per type: bits of a code, what it means, where scales stand, what is subtracted from it.

cdef void tile_f32(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(32, NUMBERS, 0, 0, p, n, x, c, s, t, y)

cdef void tile_f16(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(16, NUMBERS, 0, 0, p, n, x, c, s, t, y)

cdef void tile_bf16(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(17, NUMBERS, 0, 0, p, n, x, c, s, t, y)

cdef void tile_q4_0(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(4, NUMBERS, D, 8, p, n, x, c, s, t, y)

cdef void tile_q4_1(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(4, NUMBERS, DM, 0, p, n, x, c, s, t, y)

cdef void tile_q5_0(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(5, NUMBERS, D, 16, p, n, x, c, s, t, y)

cdef void tile_q5_1(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(5, NUMBERS, DM, Q5_OFFSET, p, n, x, c, s, t, y)

cdef void tile_q8_0(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(8, NUMBERS, D, Q8_OFFSET, p, n, x, c, s, t, y)

cdef void tile_q2_k(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(2, NUMBERS, K16M, 0, p, n, x, c, s, t, y)

cdef void tile_q3_k(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(3, NUMBERS, K16, 4, p, n, x, c, s, t, y)

cdef void tile_q4_k(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(4, NUMBERS, K, 0, p, n, x, c, s, t, y)

cdef void tile_q5_k(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(5, NUMBERS, K, Q5_OFFSET, p, n, x, c, s, t, y)

cdef void tile_q6_k(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(6, NUMBERS, K16, 32, p, n, x, c, s, t, y)

cdef void tile_iq4_nl(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(4, IQ4, D, Q8_OFFSET, p, n, x, c, s, t, y)

cdef void tile_iq4_xs(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(4, IQ4, K32, Q8_OFFSET, p, n, x, c, s, t, y)

cdef void tile_mxfp4(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(4, FP4, E8, 12, p, n, x, c, s, t, y)

cdef void tile_tq2_0(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(2, NUMBERS, D256, 1, p, n, x, c, s, t, y)

cdef void tile_nvfp4(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(4, FP4, E4, 12, p, n, x, c, s, t, y)

cdef void tile_q1_0(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(SIGNS, NUMBERS, D128, 1, p, n, x, c, s, t, y)

cdef void tile_q2_0(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(2, NUMBERS, D64, 1, p, n, x, c, s, t, y)

cdef void tile_iq1_s(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(2, NUMBERS, N32S, 1, p, n, x, c, s, t, y)

cdef void tile_iq1_m(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(SHARED, IQ1, N16, 9, p, n, x, c, s, t, y)

cdef void tile_iq2_xxs(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(3, IQ2, N32, 43, p, n, x, c, s, t, y)

cdef void tile_iq2_xs(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(3, IQ2, N16, 43, p, n, x, c, s, t, y)

cdef void tile_iq3_xxs(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(4, IQ3XXS, N32, 62, p, n, x, c, s, t, y)

cdef void tile_iq3_s(const uint8_t* p, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int t,
                   float* y) noexcept nogil:
    tile(4, IQ3S, N32, 15, p, n, x, c, s, t, y)
