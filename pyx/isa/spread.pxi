# Products with many tokens where a vector of codes is dear to make: with AVX2 alone, 5 bits cost five instructions.
#
# GROUP panels are unpacked once for all tokens of a step, SPREAD columns at a time: signed bytes in the first cache,
# scales beside them. A vector of them meets two tokens. vpmaddubsw wants one factor without sign: activations, which
# are raised by 128; what that adds to a sum is known when codes are unpacked, and sums start without it. Whole totals
# are those of gemm.pxi and floats are added in its order: a token has the same result, bit for bit, in either.

cdef enum:
    GROUP = 4           # panels: 32 rows, with which two tokens fill eight sums
    SPREAD = 256        # columns
    BLOCKS = 8          # of 32 columns
    MANY = 16           # tokens that are worth the unpacking
    AT_ONCE = 128       # rows of activations that share it

cdef struct Spread:
    vu codes[8 * BLOCKS * GROUP]    # (block, four columns, panel)
    vs start[2 * BLOCKS * GROUP]    # (block, half, panel), and so on
    vq q[2 * BLOCKS * GROUP]
    vf d[BLOCKS * GROUP]
    vf m[2 * BLOCKS * GROUP]


cdef inline void spread_block(int bits, int named, int offset, int halves, const uint8_t* p, int b, int panel,
                              const Scaling* by, Spread* out) noexcept nogil:
    """One block of one panel; b: its number."""
    cdef vu codes[2]
    cdef vs start[2]
    cdef int g, half
    start[0], start[1] = vs_zero(), vs_zero()
    for g in range(4):
        unpack(bits, p, g, &codes[0], &codes[1])
        for half in range(2):
            if named != NUMBERS:
                codes[half] = vu_points(points[named], codes[half])
            codes[half] = vu_less(codes[half], offset)
            start[half if halves == 2 else 0] = vs_unraised(start[half if halves == 2 else 0], codes[half])
            out.codes[(8 * b + 4 * half + g) * GROUP + panel] = codes[half]
    for half in range(halves):
        out.start[(2 * b + half) * GROUP + panel] = start[half]
        out.q[(2 * b + half) * GROUP + panel] = by.q[half]
        out.m[(2 * b + half) * GROUP + panel] = by.m[half]
    out.d[b * GROUP + panel] = by.d[0]


cdef inline void spread(int bits, int named, int scheme, int offset, const uint8_t* p, int cols, int panel,
                        void* out) noexcept nogil:
    """`cols` columns of a panel, at most SPREAD."""
    if has_small_blocks(scheme):
        small_blocks(bits, named, scheme, offset, 0, p, cols, NULL, NULL, 0, NULL, panel, <Spread*>out)
    else:
        super_blocks(bits, named, scheme, offset, 0, p, cols, NULL, NULL, 0, NULL, panel, <Spread*>out)


cdef inline void spread_pair(int halves, bint has_min, int tokens, const Spread* w, int blocks, const uint8_t* x,
                             const Scale* scales, Py_ssize_t stride, bint first, Py_ssize_t step,
                             float* y) noexcept nogil:
    """y (GROUP, step, LANES): some blocks of GROUP panels times one or two rows of activations, raised by 128."""
    cdef const uint8_t* row[2]
    cdef const Scale* scale[2]
    cdef vt total[2 * GROUP]
    cdef vs s[2 * GROUP]
    cdef vu four[2]
    cdef vu u
    cdef vf v
    cdef vf d[2]
    cdef vf low[2]
    cdef vf high[2]
    cdef float* at
    cdef int b, half, k, j, t, i, wide = 8 // halves
    for t in range(tokens):
        row[t], scale[t] = x + t * stride, scales_of(scales, stride, t)
        for j in range(GROUP if first else 0):
            vf_store(y + (j * step + t) * LANES, vf_zero())
    for b in range(blocks):
        for half in range(halves):
            i = (2 * b + half) * GROUP
            for j in range(GROUP):
                for t in range(tokens):
                    s[2 * j + t] = w.start[i + j]
            for k in range(wide * half, wide * half + wide):
                for t in range(tokens):
                    four[t] = vu_four(row[t] + 4 * k)
                for j in range(GROUP):
                    u = vu_held(w.codes[(8 * b + k) * GROUP + j])
                    for t in range(tokens):
                        s[2 * j + t] = vs_raised(s[2 * j + t], four[t], u)
            for j in range(GROUP):
                for t in range(tokens):
                    total[2 * j + t] = vt_more(total[2 * j + t] if half else vt_zero(), s[2 * j + t], w.q[i + j])
        for t in range(tokens):
            d[t], high[t] = vf_set1(scale[t].d), vf_set1(scale[t].high)
            low[t] = vf_set1(scale[t].low if halves == 2 else scale[t].sum)
            row[t], scale[t] = row[t] + BLOCK, scale[t] + 1
        for j in range(GROUP):
            for t in range(tokens):
                i, at = 2 * b * GROUP + j, y + (j * step + t) * LANES   # in memory: sums need the registers
                v = vt_value(total[2 * j + t], w.d[b * GROUP + j])
                if has_min:
                    v = vf_fma(w.m[i], low[t], v)
                if has_min and halves == 2:
                    v = vf_fma(w.m[i + GROUP], high[t], v)
                vf_store(at, vf_fma(v, d[t], vf_load(at)))


cdef inline void spread_rows(int halves, bint has_min, const Spread* w, int blocks, const uint8_t* x,
                             const Scale* scales, Py_ssize_t stride, int rows, bint first, float* y) noexcept nogil:
    cdef int t = 0
    while t + 2 <= rows:
        spread_pair(halves, has_min, 2, w, blocks, x + t * stride, scales_of(scales, stride, t), stride, first, rows,
                    y + t * LANES)
        t += 2
    if t < rows:
        spread_pair(halves, has_min, 1, w, blocks, x + t * stride, scales_of(scales, stride, t), stride, first, rows,
                    y + t * LANES)


cdef void rows_1(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                 float* y) noexcept nogil:
    spread_rows(1, False, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void rows_1m(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                  float* y) noexcept nogil:
    spread_rows(1, True, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void rows_2(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                 float* y) noexcept nogil:
    spread_rows(2, False, <const Spread*>w, n, x, c, s, rows, first, y)

cdef void rows_2m(const void* w, int n, const uint8_t* x, const Scale* c, Py_ssize_t s, int rows, bint first,
                  float* y) noexcept nogil:
    spread_rows(2, True, <const Spread*>w, n, x, c, s, rows, first, y)

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


cdef void add_spreads() noexcept:
    add_spread(2, spread_q4_0, rows_1)
    add_spread(3, spread_q4_1, rows_1m)
    add_spread(6, spread_q5_0, rows_1)
    add_spread(7, spread_q5_1, rows_1m)
    add_spread(10, spread_q2_k, rows_2m)
    add_spread(11, spread_q3_k, rows_2)
    add_spread(12, spread_q4_k, rows_1m)
    add_spread(13, spread_q5_k, rows_1m)
    add_spread(14, spread_q6_k, rows_2)
    add_spread(39, spread_mxfp4, rows_1)
    add_spread(34, spread_tq2_0, rows_1)
    add_spread(35, spread_tq2_0, rows_1)
    add_spread(41, spread_q1_0, rows_1)
    add_spread(42, spread_q2_0, rows_1)
    add_spread(19, spread_iq1_s, rows_1m)
    add_spread(29, spread_iq1_m, rows_2)
    add_spread(21, spread_iq3_s, rows_1)
