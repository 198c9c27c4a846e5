# One row per type whose codes are unpacked for many tokens at once: as in tiles.pxi, and which sums they take.

cdef void rows_1(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                 float* y) noexcept nogil:
    spread_rows(1, 8, LIFTS, False, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void rows_powers(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                      float* y) noexcept nogil:
    spread_rows(1, 8, False, False, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void rows_1m(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                  float* y) noexcept nogil:
    spread_rows(1, 8, LIFTS, True, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void rows_2(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                 float* y) noexcept nogil:
    spread_rows(2, 4, LIFTS, False, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void rows_2m(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                  float* y) noexcept nogil:
    spread_rows(2, 4, LIFTS, True, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void rows_of_2(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                    float* y) noexcept nogil:
    spread_rows(1, 2 if DOT_LIMIT else 8, LIFTS, False, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void rows_2_of_2(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                      float* y) noexcept nogil:
    spread_rows(2, 2 if DOT_LIMIT else 4, LIFTS, False, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void rows_words(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                     float* y) noexcept nogil:
    spread_rows(1, WORDS if DOT_LIMIT else 8, True, False, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void spread_q4_0(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(4, NUMBERS, D, 8, p, n, panel, out)

cdef void spread_q4_1(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(4, NUMBERS, DM, 0, p, n, panel, out)

cdef void spread_q5_0(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(5, NUMBERS, D, 16, p, n, panel, out)

cdef void spread_q5_1(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(5, NUMBERS, DM, Q5_OFFSET, p, n, panel, out)

cdef void spread_q2_k(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(2, NUMBERS, K16M, 0, p, n, panel, out)

cdef void spread_q3_k(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(3, NUMBERS, K16, 4, p, n, panel, out)

cdef void spread_q4_k(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(4, NUMBERS, K, 0, p, n, panel, out)

cdef void spread_q5_k(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(5, NUMBERS, K, Q5_OFFSET, p, n, panel, out)

cdef void spread_q6_k(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(6, NUMBERS, K16, 32, p, n, panel, out)

cdef void spread_mxfp4(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(4, FP4, E8, 12, p, n, panel, out)

cdef void spread_tq2_0(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(2, NUMBERS, D256, 1, p, n, panel, out)

cdef void spread_q1_0(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(SIGNS, NUMBERS, D128, 1, p, n, panel, out)

cdef void spread_q2_0(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(2, NUMBERS, D64, 1, p, n, panel, out)

cdef void spread_iq1_s(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(2, NUMBERS, N32S, 1, p, n, panel, out)

cdef void spread_iq1_m(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(SHARED, IQ1, N16, 9, p, n, panel, out)

cdef void spread_iq3_s(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(4, IQ3S, N32, 15, p, n, panel, out)

cdef void spread_q8_0(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(8, NUMBERS, D, Q8_OFFSET, p, n, panel, out)

cdef void spread_iq4_nl(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(4, IQ4, D, Q8_OFFSET, p, n, panel, out)

cdef void spread_iq4_xs(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(4, IQ4, K32, Q8_OFFSET, p, n, panel, out)

cdef void spread_iq2_xxs(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(3, IQ2, N32, 43, p, n, panel, out)

cdef void spread_iq2_xs(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(3, IQ2, N16, 43, p, n, panel, out)

cdef void spread_iq3_xxs(const uint8_t* p, int n, int panel, void* out) noexcept nogil:
    spread(4, IQ3XXS, N32, 62, p, n, panel, out)


cdef void add_spreads() noexcept:
    """Every type for which it pays."""
    add_spread(2, spread_q4_0, rows_1)
    add_spread(3, spread_q4_1, rows_1m)
    add_spread(6, spread_q5_0, rows_1)
    add_spread(7, spread_q5_1, rows_1m)
    add_spread(8, spread_q8_0, rows_words)
    add_spread(10, spread_q2_k, rows_2m)
    add_spread(11, spread_q3_k, rows_2)
    add_spread(12, spread_q4_k, rows_1m)
    add_spread(13, spread_q5_k, rows_1m)
    add_spread(14, spread_q6_k, rows_2)
    add_spread(16, spread_iq2_xxs, rows_of_2)
    add_spread(17, spread_iq2_xs, rows_2_of_2)
    add_spread(18, spread_iq3_xxs, rows_of_2)
    add_spread(19, spread_iq1_s, rows_1m)
    add_spread(20, spread_iq4_nl, rows_words)
    add_spread(21, spread_iq3_s, rows_1)
    add_spread(22, spread_iq2_xs, rows_2_of_2)
    add_spread(23, spread_iq4_xs, rows_words)
    add_spread(29, spread_iq1_m, rows_2)
    add_spread(34, spread_tq2_0, rows_1)
    add_spread(35, spread_tq2_0, rows_1)
    add_spread(39, spread_mxfp4, rows_powers if LIFTS else rows_1)
    add_spread(41, spread_q1_0, rows_1)
    add_spread(42, spread_q2_0, rows_1)
