# Matrix products on interleaved panels, written once for every instruction set.
#
# A panel holds LANES rows of a weight. A block of a panel is 32 columns: the scales of all rows, then the codes in
# groups of four columns, so that one vector of codes is LANES rows x 4 columns and meets four broadcast activations.
# Nothing is summed across lanes, scales convert LANES at a time, and one panel serves decode (one token) and prefill
# (register tiles of TILE tokens).
#
# Codes of 4 bits and more keep their low 4 bits in four vectors (group g low, group g + 4 high half of each byte)
# and the rest in bit planes (bit g, or bits 2(g % 4), of each byte belongs to group g). Codes of 2 and 3 bits are
# such planes only. 8-bit codes stand as they are. Some 4-bit codes name one of sixteen points instead of a number.
#
# Activations are 8-bit blocks of 32 with one Scale each: a row is `cols` codes, then cols / 32 Scales.

cdef enum:
    D           # one half scale for each row and block
    DM          # a half scale and a half minimum
    K           # blocks of 256: half d and dmin, then 6-bit scale and minimum for each 32 columns
    K16         # blocks of 256: half d, then a signed 8-bit scale for each 16 columns
    K16M        # blocks of 256: half d and dmin, then a byte of 4-bit scale and minimum for each 16 columns
    K32         # blocks of 256: half d, then a signed 8-bit scale for each 32 columns
    E8          # a power of two for each row and block

cdef enum:
    NUMBERS     # a code is a number
    IQ4         # a code names one of the points of IQ4_NL
    FP4         # ... of E2M1, doubled

cdef uint8_t points[3][16]      # stored like 8-bit codes, with Q8_OFFSET


cdef void set_points() noexcept:
    """Points of `ggml-common.h` (kvalues_iq4nl, kvalues_mxfp4)."""
    cdef int i
    cdef int8_t[16] iq4 = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
    cdef int8_t[16] fp4 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]
    for i in range(16):
        points[<int>IQ4][i], points[<int>FP4][i] = <uint8_t>(iq4[i] + Q8_OFFSET), <uint8_t>(fp4[i] + Q8_OFFSET)


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
    if bits <= 3:
        lo[0], hi[0] = vu_and(vu_shr(vu_load(p), 2 * g), 3), vu_and(vu_shr(vu_load(p + bytes), 2 * g), 3)
        if bits == 3:
            h = vu_load(p + 2 * bytes)
            lo[0] = vu_or(lo[0], vu_and(vu_shl(h, 2 - g) if g < 2 else vu_shr(h, g - 2), 4))
            hi[0] = vu_or(hi[0], vu_and(vu_shr(h, g + 2), 4))
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


cdef inline vs dot(bint eight, vs s, vu u, const uint8_t* x) noexcept nogil:
    return vs_dot8(s, u, x) if eight else vs_dot(s, u, x)


cdef inline int dots_that_fit(int largest) noexcept nogil:
    """Products with codes up to `largest` that an AVX2 pair sum can take before it must be widened."""
    return DOT_LIMIT // (2 * 127 * largest) if DOT_LIMIT else 8


cdef inline void sums(int bits, int named, int part, int tokens, const uint8_t* p, const uint8_t* x, Py_ssize_t stride,
                      vf* out) noexcept nogil:
    """Sums of code * activation over the first sixteen columns of a block (part 0), the others (1), or all (2)."""
    cdef vs s[TILE]
    cdef vi w[TILE]
    cdef vu codes[2]
    cdef bint eight = bits == 8 or named != NUMBERS
    cdef int g, t, half, dots = 0, fit = dots_that_fit(12 if named == FP4 else 128 if eight else (1 << bits) - 1)
    for t in range(tokens):
        s[t], w[t] = vs_zero(), vi_zero()
    for g in range(4):
        unpack(bits, p, g, &codes[0], &codes[1])
        for half in range(2):
            if part != 2 and part != half:
                continue
            if named != NUMBERS:
                codes[half] = vu_points(points[named], codes[half])
            for t in range(tokens):
                if dots == fit:
                    w[t], s[t] = vi_add_s(w[t], s[t]), vs_zero()
                s[t] = dot(eight, s[t], codes[half], x + t * stride + 16 * half + 4 * g)
            dots = 1 if dots == fit else dots + 1
    for t in range(tokens):
        out[t] = vs_float(s[t]) if fit >= (8 if part == 2 else 4) else vi_float(vi_add_s(w[t], s[t]))


cdef inline const Scale* scales_of(const Scale* scales, Py_ssize_t stride, int t) noexcept nogil:
    """The same blocks of t tokens further on."""
    return <const Scale*>(<const uint8_t*>scales + t * stride)


cdef inline void block(int bits, int named, int sub, int tokens, const uint8_t* p, const uint8_t* x, Py_ssize_t stride,
                       const Scale* scales, vf d0, vf d1, vf m0, vf m1, bint has_min, vf* acc) noexcept nogil:
    """acc[t] += one block of 32 columns times token t.

    sub 32: value = d0 * code + m0; sub 16: d0, m0 for the first sixteen columns, d1, m1 for the others.
    """
    cdef vf part[TILE]
    cdef const Scale* sc
    cdef int half, t
    for half in range(2 if sub == 16 else 1):
        sums(bits, named, half if sub == 16 else 2, tokens, p, x, stride, part)
        for t in range(tokens):
            sc = scales_of(scales, stride, t)
            acc[t] = vf_fma(vf_mul(d1 if half else d0, vf_set1(sc.d)), part[t], acc[t])
            if has_min:
                acc[t] = vf_fma(m1 if half else m0,
                                vf_set1(sc.sum if sub == 32 else sc.high if half else sc.low), acc[t])


cdef inline void small_blocks(int bits, int named, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                              const uint8_t* x, const Scale* scales, Py_ssize_t stride, vf* acc) noexcept nogil:
    """Blocks of 32 columns with scales of their own."""
    cdef vf d, m = vf_zero()
    cdef int b
    for b in range(cols // 32):
        d = vf_load_e8m0(p) if scheme == E8 else vf_load_half(p)
        p += LANES if scheme == E8 else 2 * LANES
        if scheme == DM:
            m = vf_load_half(p)
            p += 2 * LANES
        elif offset:
            m = vf_mul(d, vf_set1(-<float>offset))
        block(bits, named, 32, tokens, p, x + 32 * b, stride, scales + b, d, m, m, m,
              scheme == DM or offset != 0, acc)
        p += plane_vectors(bits) * 4 * LANES


cdef inline void super_blocks(int bits, int named, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                              const uint8_t* x, const Scale* scales, Py_ssize_t stride, vf* acc) noexcept nogil:
    """Blocks of 256 columns whose scales are small integers times a half."""
    cdef vf d, dmin = vf_zero(), d0, d1, m0, m1, less = vf_set1(-<float>offset)
    cdef int b
    cdef const uint8_t* s
    for b in range(cols // 32):
        if b % 8 == 0:
            d = vf_load_half(p)
            p += 2 * LANES
            if scheme == K or scheme == K16M:
                dmin = vf_sub(vf_zero(), vf_load_half(p))
                p += 2 * LANES
            s = p
            p += 8 * LANES if scheme == K32 else 16 * LANES
        if scheme == K:
            d0, m0 = vf_mul(d, vf_load_u8(s)), vf_mul(dmin, vf_load_u8(s + 8 * LANES))
            d1, m1 = d0, m0
        elif scheme == K32:
            d0 = vf_mul(d, vf_load_i8(s))
            d1, m0 = d0, vf_mul(d0, less)
            m1 = m0
        elif scheme == K16M:
            d0, d1 = vf_mul(d, vf_load_u4(s, 0)), vf_mul(d, vf_load_u4(s + LANES, 0))
            m0, m1 = vf_mul(dmin, vf_load_u4(s, 4)), vf_mul(dmin, vf_load_u4(s + LANES, 4))
        else:
            d0, d1 = vf_mul(d, vf_load_i8(s)), vf_mul(d, vf_load_i8(s + LANES))
            m0, m1 = vf_mul(d0, less), vf_mul(d1, less)
        block(bits, named, 32 if scheme == K or scheme == K32 else 16, tokens, p, x + 32 * b, stride,
              scales + b, d0, d1, m0, m1, True, acc)
        s += LANES if scheme == K or scheme == K32 else 2 * LANES
        p += plane_vectors(bits) * 4 * LANES


cdef inline void packed_tile(int bits, int named, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                             const uint8_t* x, const Scale* scales, Py_ssize_t stride, float* y) noexcept nogil:
    """`cols` columns of a panel times `tokens` tokens (at most TILE): y is (tokens, LANES)."""
    cdef vf acc[TILE]
    cdef int t
    for t in range(tokens):
        acc[t] = vf_zero()
    if scheme == D or scheme == DM or scheme == E8:
        small_blocks(bits, named, scheme, offset, tokens, p, cols, x, scales, stride, acc)
    else:
        super_blocks(bits, named, scheme, offset, tokens, p, cols, x, scales, stride, acc)
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


cdef inline void tile(int bits, int named, int scheme, int offset, const uint8_t* p, int cols, const uint8_t* x,
                      const Scale* scales, Py_ssize_t stride, int tokens, float* y) noexcept nogil:
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
        packed_tile(bits, named, scheme, offset, TILE, p, cols, x, scales, stride, y)
    elif tokens == 1:
        packed_tile(bits, named, scheme, offset, 1, p, cols, x, scales, stride, y)
    else:
        packed_tail(bits, named, scheme, offset, tokens, p, cols, x, scales, stride, y)


cdef inline void float_tail(int kind, int tokens, const uint8_t* p, int cols, const uint8_t* x, Py_ssize_t stride,
                            float* y) noexcept nogil:
    cdef int t = 0
    while t + 2 <= tokens:
        float_tile(kind, 2, p, cols, x + t * stride, stride, y + t * LANES)
        t += 2
    if t < tokens:
        float_tile(kind, 1, p, cols, x + t * stride, stride, y + t * LANES)


cdef inline void packed_tail(int bits, int named, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                             const uint8_t* x, const Scale* scales, Py_ssize_t stride, float* y) noexcept nogil:
    cdef int t = 0
    if TILE > 4 and tokens >= 4:
        packed_tile(bits, named, scheme, offset, 4, p, cols, x, scales, stride, y)
        t = 4
    while t + 2 <= tokens:
        packed_tile(bits, named, scheme, offset, 2, p, cols, x + t * stride, scales_of(scales, stride, t), stride,
                    y + t * LANES)
        t += 2
    if t < tokens:
        packed_tile(bits, named, scheme, offset, 1, p, cols, x + t * stride, scales_of(scales, stride, t), stride,
                    y + t * LANES)
