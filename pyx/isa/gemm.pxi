# Matrix products on interleaved panels, written once for every instruction set.
#
# A panel holds LANES rows of a weight. A block of a panel is 32 columns: the scales of all rows, then the codes in
# groups of four columns, so that one vector of codes is LANES rows x 4 columns and meets four broadcast activations.
# Nothing is summed across lanes, scales convert LANES at a time, and one panel serves decode (one token) and prefill
# (register tiles of TILE tokens).
#
# Codes of 4 bits and more keep their low 4 bits in four vectors (group g low, group g + 4 high half of each byte)
# and the rest in bit planes (bit g, or bits 2(g % 4), of each byte belongs to group g). 8-bit codes stand as they are.
#
# Activations are 8-bit blocks of 32 with one Scale each: a row is `cols` codes, then cols / 32 Scales.

cdef enum:
    D           # one half scale for each row and block
    DM          # a half scale and a half minimum
    K           # blocks of 256: half d and dmin, then 6-bit scale and minimum for each 32 columns
    K16         # blocks of 256: half d, then a signed 8-bit scale for each 16 columns


cdef inline int plane_vectors(int bits) noexcept nogil:
    """Vectors of codes in one block of 32 columns."""
    return bits if bits != 8 else 8


cdef inline void unpack(int bits, const uint8_t* p, int g, vu* lo, vu* hi) noexcept nogil:
    """Codes of column group g and g + 4 (of eight) of a block."""
    cdef vu v, h
    cdef int bytes = 4 * LANES
    if bits == 8:
        lo[0], hi[0] = vu_load(p + g * bytes), vu_load(p + (g + 4) * bytes)
        return
    v = vu_load(p + g * bytes)
    lo[0], hi[0] = vu_and(v, 15), vu_and(vu_shr(v, 4), 15)
    if bits == 5:
        h = vu_load(p + 4 * bytes)
        lo[0] = vu_or(lo[0], vu_and(vu_shl(h, 4 - g), 16))
        hi[0] = vu_or(hi[0], vu_and(vu_shr(h, g), 16))
    if bits == 6:
        lo[0] = vu_or(lo[0], two_bits(vu_load(p + 4 * bytes), g))
        hi[0] = vu_or(hi[0], two_bits(vu_load(p + 5 * bytes), g))


cdef inline vu two_bits(vu h, int g) noexcept nogil:
    """Bits 2g and 2g + 1 of each byte, moved to bits 4 and 5."""
    return vu_and(vu_shl(h, 4 - 2 * g) if g < 2 else vu_shr(h, 2 * g - 4), 48)


cdef inline vs dot(int bits, vs s, vu u, const uint8_t* x) noexcept nogil:
    return vs_dot8(s, u, x) if bits == 8 else vs_dot(s, u, x)


cdef inline bint must_widen(int bits, int dots) noexcept nogil:
    """Can sums of `dots` more products overflow an AVX2 pair sum?"""
    return DOT_LIMIT and dots * 2 * 127 * ((1 << bits) - 1 if bits < 8 else 128) > DOT_LIMIT


cdef inline void block(int bits, int sub, int tokens, const uint8_t* p, const uint8_t* x, Py_ssize_t stride,
                       const Scale* scales, vf d0, vf d1, vf m0, vf m1, bint has_min, vf* acc) noexcept nogil:
    """acc[t] += one block of 32 columns times token t.

    sub 32: value = d0 * code + m0; sub 16: d0, m0 for the first sixteen columns, d1, m1 for the others.
    """
    cdef vs s0[TILE]
    cdef vs s1[TILE]
    cdef vi w0[TILE]
    cdef vi w1[TILE]
    cdef vu lo, hi
    cdef vf p0
    cdef const uint8_t* xt
    cdef const Scale* sc
    cdef int g, t, every = 4
    # how many of the four unpacking rounds fit before pair sums must be widened
    if must_widen(bits, 4 if sub == 16 else 8):
        every = 2
    if must_widen(bits, 2 if sub == 16 else 4):
        every = 1
    for t in range(tokens):
        s0[t], s1[t] = vs_zero(), vs_zero()
        w0[t], w1[t] = vi_zero(), vi_zero()
    for g in range(4):
        unpack(bits, p, g, &lo, &hi)
        for t in range(tokens):
            xt = x + t * stride
            s0[t] = dot(bits, s0[t], lo, xt + 4 * g)
            if sub == 16 or bits == 8:
                s1[t] = dot(bits, s1[t], hi, xt + 16 + 4 * g)
            else:
                s0[t] = dot(bits, s0[t], hi, xt + 16 + 4 * g)
            if every < 4 and (g + 1) % every == 0:
                w0[t] = vi_add_s(w0[t], s0[t])
                s0[t] = vs_zero()
                if sub == 16 or bits == 8:
                    w1[t] = vi_add_s(w1[t], s1[t])
                    s1[t] = vs_zero()
    for t in range(tokens):
        sc = <const Scale*>(<const uint8_t*>scales + t * stride)
        if sub == 16:
            p0 = vf_mul(d0, vi_float(w0[t]) if every < 4 else vs_float(s0[t]))
            p0 = vf_fma(d1, vi_float(w1[t]) if every < 4 else vs_float(s1[t]), p0)
            acc[t] = vf_fma(p0, vf_set1(sc.d), acc[t])
            if has_min:
                acc[t] = vf_fma(m0, vf_set1(sc.low), acc[t])
                acc[t] = vf_fma(m1, vf_set1(sc.high), acc[t])
        else:
            p0 = vi_float(w0[t]) if every < 4 else vs_float(s0[t])
            if bits == 8:
                p0 = vf_add(p0, vi_float(w1[t]) if every < 4 else vs_float(s1[t]))
            acc[t] = vf_fma(vf_mul(d0, vf_set1(sc.d)), p0, acc[t])
            if has_min:
                acc[t] = vf_fma(m0, vf_set1(sc.sum), acc[t])


cdef inline void packed_tile(int bits, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                             const uint8_t* x, Py_ssize_t stride, float* y) noexcept nogil:
    """One panel times `tokens` tokens (at most TILE): y is (tokens, LANES)."""
    cdef vf acc[TILE]
    cdef vf d, dmin, d0, d1, m0, m1
    cdef int b, j, t, vectors = plane_vectors(bits) * 4 * LANES
    cdef const uint8_t* scales8
    cdef const uint8_t* mins8
    cdef const Scale* scales = <const Scale*>(x + cols)
    cdef bint has_min = scheme == DM or scheme == K or offset != 0
    d1 = m0 = m1 = vf_zero()
    for t in range(tokens):
        acc[t] = vf_zero()
    if scheme == D or scheme == DM:
        for b in range(cols // 32):
            d0 = vf_load_half(p)
            p += 2 * LANES
            if scheme == DM:
                m0 = vf_load_half(p)
                p += 2 * LANES
            elif offset:
                m0 = vf_mul(d0, vf_set1(-<float>offset))
            block(bits, 32, tokens, p, x, stride, scales, d0, d1, m0, m1, has_min, acc)
            p += vectors
            x += 32
            scales += 1
    else:
        for b in range(cols // 256):
            d = vf_load_half(p)
            p += 2 * LANES
            if scheme == K:
                dmin = vf_sub(vf_zero(), vf_load_half(p))
                p += 2 * LANES
            scales8, mins8 = p, p + 8 * LANES
            p += 16 * LANES
            for j in range(8):
                if scheme == K:
                    d0 = vf_mul(d, vf_load_u8(scales8 + j * LANES))
                    m0 = vf_mul(dmin, vf_load_u8(mins8 + j * LANES))
                    block(bits, 32, tokens, p, x, stride, scales, d0, d1, m0, m1, True, acc)
                else:
                    d0 = vf_mul(d, vf_load_i8(scales8 + 2 * j * LANES))
                    d1 = vf_mul(d, vf_load_i8(scales8 + (2 * j + 1) * LANES))
                    m0, m1 = vf_mul(d0, vf_set1(-<float>offset)), vf_mul(d1, vf_set1(-<float>offset))
                    block(bits, 16, tokens, p, x, stride, scales, d0, d1, m0, m1, has_min, acc)
                p += vectors
                x += 32
                scales += 1
    for t in range(tokens):
        vf_store(y + t * LANES, acc[t])


cdef inline void float_tile(int kind, int tokens, const uint8_t* p, int cols, const uint8_t* x, Py_ssize_t stride,
                            float* y) noexcept nogil:
    """The same for float panels (cols, LANES): kind 0 F32, 1 F16, 2 BF16; two chains hide the latency of FMA."""
    cdef vf even[TILE]
    cdef vf odd[TILE]
    cdef vf w
    cdef int i = 0, t, size = 4 * LANES if kind == 0 else 2 * LANES
    for t in range(tokens):
        even[t], odd[t] = vf_zero(), vf_zero()
    while i + 2 <= cols:
        w = vf_load(<const float*>p) if kind == 0 else vf_load_half(p) if kind == 1 else vf_load_bf16(p)
        for t in range(tokens):
            even[t] = vf_fma(w, vf_set1((<const float*>(x + t * stride))[i]), even[t])
        p += size
        w = vf_load(<const float*>p) if kind == 0 else vf_load_half(p) if kind == 1 else vf_load_bf16(p)
        for t in range(tokens):
            odd[t] = vf_fma(w, vf_set1((<const float*>(x + t * stride))[i + 1]), odd[t])
        p += size
        i += 2
    if i < cols:
        w = vf_load(<const float*>p) if kind == 0 else vf_load_half(p) if kind == 1 else vf_load_bf16(p)
        for t in range(tokens):
            even[t] = vf_fma(w, vf_set1((<const float*>(x + t * stride))[i]), even[t])
    for t in range(tokens):
        vf_store(y + t * LANES, vf_add(even[t], odd[t]))


cdef inline void tile(int bits, int scheme, int offset, const uint8_t* p, int cols, const uint8_t* x,
                      Py_ssize_t stride, int tokens, float* y) noexcept nogil:
    """Any number of tokens up to TILE; bits 32, 16, 17 mean F32, F16, BF16."""
    cdef int kind = 0 if bits == 32 else 1 if bits == 16 else 2
    if bits >= 16:
        if tokens == TILE:
            float_tile(kind, TILE, p, cols, x, stride, y)
        elif tokens == 1:
            float_tile(kind, 1, p, cols, x, stride, y)
        else:
            float_tail(kind, tokens, p, cols, x, stride, y)
    elif tokens == TILE:
        packed_tile(bits, scheme, offset, TILE, p, cols, x, stride, y)
    elif tokens == 1:
        packed_tile(bits, scheme, offset, 1, p, cols, x, stride, y)
    else:
        packed_tail(bits, scheme, offset, tokens, p, cols, x, stride, y)


cdef inline void float_tail(int kind, int tokens, const uint8_t* p, int cols, const uint8_t* x, Py_ssize_t stride,
                            float* y) noexcept nogil:
    cdef int t = 0
    while t + 2 <= tokens:
        float_tile(kind, 2, p, cols, x + t * stride, stride, y + t * LANES)
        t += 2
    if t < tokens:
        float_tile(kind, 1, p, cols, x + t * stride, stride, y + t * LANES)


cdef inline void packed_tail(int bits, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                             const uint8_t* x, Py_ssize_t stride, float* y) noexcept nogil:
    cdef int t = 0
    if TILE > 4 and tokens >= 4:
        packed_tile(bits, scheme, offset, 4, p, cols, x, stride, y)
        t = 4
    while t + 2 <= tokens:
        packed_tile(bits, scheme, offset, 2, p, cols, x + t * stride, stride, y + t * LANES)
        t += 2
    if t < tokens:
        packed_tile(bits, scheme, offset, 1, p, cols, x + t * stride, stride, y + t * LANES)


# One row per type: bits of a code, where scales stand, what is subtracted from a code.

cdef void tile_f32(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(32, 0, 0, p, n, x, s, t, y)

cdef void tile_f16(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(16, 0, 0, p, n, x, s, t, y)

cdef void tile_bf16(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(17, 0, 0, p, n, x, s, t, y)

cdef void tile_q4_0(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(4, D, 8, p, n, x, s, t, y)

cdef void tile_q4_1(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(4, DM, 0, p, n, x, s, t, y)

cdef void tile_q5_0(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(5, D, 16, p, n, x, s, t, y)

cdef void tile_q5_1(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(5, DM, 0, p, n, x, s, t, y)

cdef void tile_q8_0(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(8, D, Q8_OFFSET, p, n, x, s, t, y)

cdef void tile_q4_k(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(4, K, 0, p, n, x, s, t, y)

cdef void tile_q5_k(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(5, K, 0, p, n, x, s, t, y)

cdef void tile_q6_k(const uint8_t* p, int n, const uint8_t* x, Py_ssize_t s, int t, float* y) noexcept nogil:
    tile(6, K16, 32, p, n, x, s, t, y)
