# Matrix products on interleaved panels, written once for every instruction set.
#
# A panel holds LANES rows of a weight. A block of a panel is 32 columns: the scales of all rows, then the codes in
# groups of four columns, so that one vector of codes is LANES rows x 4 columns and meets four broadcast activations.
# Nothing is summed across lanes, scales convert LANES at a time, and one panel serves decode (one token) and prefill
# (register tiles of TILE tokens).
#
# How a vector holds codes, and what they mean, is in codes.pxi.
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
    E4          # an unsigned byte of E4M3 for each 16 columns
    D64         # one half scale for each row and 64 columns
    D128
    D256
    N16         # blocks of 256: half d, then a nibble n for each 16 columns; the scale is d * unit * (2n + 1)
    N32         # ... for each 32 columns
    N32S        # ... the scale is d * abs(2n - 15), and values are raised by an eighth of d * (2n - 15)

cdef enum:
    AHEAD = 4096        # bytes between what one token's product reads and what it asks memory for


cdef inline void fetch_ahead(const uint8_t* p, int n) noexcept nogil:
    """Ask for n bytes that a decoding thread will want soon: the blocks it works on keep it from seeing that far."""
    cdef int i
    for i in range((n + 63) // 64):
        prefetch(p + AHEAD + 64 * i)


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
    cdef bint eight = is_signed(bits, named)
    cdef int g, t, half, dots = 0, fit = dots_that_fit(largest_code(bits, named))
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


cdef inline void block(int bits, int named, int sub, int offset, int tokens, const uint8_t* p, const uint8_t* x,
                       Py_ssize_t stride, const Scale* scales, vf d0, vf d1, vf m0, vf m1, bint has_min,
                       vf* acc) noexcept nogil:
    """acc[t] += one block of 32 columns times token t.

    sub 32: value = d0 * (code - offset) + m0; sub 16: d0, m0 for the first sixteen columns, d1, m1 for the others.
    Sums of codes are whole numbers below 2**24, so that the offset is taken off without rounding.
    """
    cdef vf part[TILE]
    cdef vf y[TILE]
    cdef vf total, less = vf_set1(-<float>offset)
    cdef const Scale* scale
    cdef int half, t
    for half in range(2 if sub == 16 else 1):
        sums(bits, named, half if sub == 16 else 2, tokens, p, x, stride, part)
        for t in range(tokens):
            scale = scales_of(scales, stride, t)
            total = vf_set1(scale.sum if sub == 32 else scale.high if half else scale.low)
            if offset:
                part[t] = vf_fma(less, total, part[t])
            y[t] = vf_fma(d1, part[t], y[t]) if half else vf_mul(d0, part[t])
            if has_min:
                y[t] = vf_fma(m1 if half else m0, total, y[t])
    for t in range(tokens):
        acc[t] = vf_fma(y[t], vf_set1(scales_of(scales, stride, t).d), acc[t])


cdef inline void small_blocks(int bits, int named, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                              const uint8_t* x, const Scale* scales, Py_ssize_t stride, vf* acc) noexcept nogil:
    """Blocks of 32 columns with scales of their own, or with one for two, four or eight of them."""
    cdef vf d0 = vf_zero(), d1 = d0, m = d0
    cdef int b, shared = 2 if scheme == D64 else 4 if scheme == D128 else 8 if scheme == D256 else 1
    for b in range(cols // 32):
        if tokens == 1:
            fetch_ahead(p, plane_bytes(bits))
        if b % shared == 0:
            if scheme == E4:
                d0, d1 = vf_load_e4m3(p), vf_load_e4m3(p + LANES)
            else:
                d0 = vf_load_e8m0(p) if scheme == E8 else vf_load_half(p)
                d1 = d0
            p += LANES if scheme == E8 else 2 * LANES
            if scheme == DM:
                m = vf_load_half(p)
                p += 2 * LANES
        block(bits, named, 16 if scheme == E4 else 32, offset, tokens, p, x + 32 * b, stride,
              scales + b, d0, d1, m, m, scheme == DM, acc)
        p += plane_bytes(bits)


cdef inline int scale_bytes(int scheme) noexcept nogil:
    """Bytes of the small scales of one row and 256 columns."""
    return 4 if scheme == N32 or scheme == N32S else 8 if scheme == K32 or scheme == N16 else 16


cdef inline void super_blocks(int bits, int named, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                              const uint8_t* x, const Scale* scales, Py_ssize_t stride, vf* acc) noexcept nogil:
    """Blocks of 256 columns whose scales are small integers times a half."""
    cdef vf d = vf_zero(), dmin = d, d0, d1, m0 = d, m1 = d, odd
    cdef int b, sub = 32 if scheme == K or scheme == K32 or scheme == N32 or scheme == N32S else 16
    cdef const uint8_t* s = p
    for b in range(cols // 32):
        if tokens == 1:
            fetch_ahead(p, plane_bytes(bits))
        if b % 8 == 0:
            d = vf_load_half(p)
            p += 2 * LANES
            if scheme == K or scheme == K16M:
                dmin = vf_sub(vf_zero(), vf_load_half(p))
                p += 2 * LANES
            if scheme == N16 or scheme == N32 or scheme == N32S:
                d = vf_mul(d, vf_set1(unit(named)))
            s = p
            p += scale_bytes(scheme) * LANES
        if scheme == K:
            d0, m0 = vf_mul(d, vf_load_u8(s)), vf_mul(dmin, vf_load_u8(s + 8 * LANES))
            d1 = d0
        elif scheme == K32:
            d0 = vf_mul(d, vf_load_i8(s))
            d1 = d0
        elif scheme == K16M:
            d0, d1 = vf_mul(d, vf_load_u4(s, 0)), vf_mul(d, vf_load_u4(s + LANES, 0))
            m0, m1 = vf_mul(dmin, vf_load_u4(s, 4)), vf_mul(dmin, vf_load_u4(s + LANES, 4))
        elif scheme == N16:
            d0, d1 = vf_fma(vf_add(d, d), vf_load_u4(s, 0), d), vf_fma(vf_add(d, d), vf_load_u4(s, 4), d)
        elif scheme == N32:
            d0 = vf_fma(vf_add(d, d), vf_load_u4(s, 4 * (b & 1)), d)
            d1 = d0
        elif scheme == N32S:
            odd = vf_fma(vf_load_u4(s, 4 * (b & 1)), vf_set1(2), vf_set1(-15))
            d0 = vf_mul(d, vf_abs(odd))
            d1, m0 = d0, vf_mul(vf_mul(d, vf_set1(0.125)), odd)
        else:
            d0, d1 = vf_mul(d, vf_load_i8(s)), vf_mul(d, vf_load_i8(s + LANES))
        block(bits, named, sub, offset, tokens, p, x + 32 * b, stride, scales + b, d0, d1, m0, m1,
              scheme == K or scheme == K16M or scheme == N32S, acc)
        if scheme == N32 or scheme == N32S:
            s += LANES * (b & 1)
        else:
            s += LANES if sub == 32 or scheme == N16 else 2 * LANES
        p += plane_bytes(bits)


cdef inline bint has_small_blocks(int scheme) noexcept nogil:
    return scheme == D or scheme == DM or scheme == E8 or scheme == E4 or D64 <= scheme <= D256


cdef inline void packed_tile(int bits, int named, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                             const uint8_t* x, const Scale* scales, Py_ssize_t stride, float* y) noexcept nogil:
    """`cols` columns of a panel times `tokens` tokens (at most TILE): y is (tokens, LANES)."""
    cdef vf acc[TILE]
    cdef int t
    for t in range(tokens):
        acc[t] = vf_zero()
    if has_small_blocks(scheme):
        small_blocks(bits, named, scheme, offset, tokens, p, cols, x, scales, stride, acc)
    else:
        super_blocks(bits, named, scheme, offset, tokens, p, cols, x, scales, stride, acc)
    for t in range(tokens):
        vf_store(y + t * LANES, acc[t])


cdef inline vf float_weights(int kind, const uint8_t* p) noexcept nogil:
    return vf_load(<const float*>p) if kind == 0 else vf_load_half(p) if kind == 1 else vf_load_bf16(p)


cdef inline void float_tile(int kind, int tokens, const uint8_t* p, int cols, const uint8_t* x, Py_ssize_t stride,
                            float* y) noexcept nogil:
    """The same for float panels (cols, LANES): kind 0 F32, 1 F16, 2 BF16.

    Two chains hide the latency of FMA; every 32 columns they are added to the total, which keeps rounding small.
    """
    cdef vf total[TILE]
    cdef vf even[TILE]
    cdef vf odd[TILE]
    cdef vf w
    cdef int i = 0, t, end, size = 4 * LANES if kind == 0 else 2 * LANES
    for t in range(tokens):
        total[t] = vf_zero()
    while i < cols:
        end = min(i + 32, cols)
        if tokens == 1:
            fetch_ahead(p, 32 * size)
        for t in range(tokens):
            even[t], odd[t] = vf_zero(), vf_zero()
        while i + 2 <= end:
            w = float_weights(kind, p)
            for t in range(tokens):
                even[t] = vf_fma(w, vf_set1((<const float*>(x + t * stride))[i]), even[t])
            w = float_weights(kind, p + size)
            for t in range(tokens):
                odd[t] = vf_fma(w, vf_set1((<const float*>(x + t * stride))[i + 1]), odd[t])
            p += 2 * size
            i += 2
        if i < end:
            w = float_weights(kind, p)
            for t in range(tokens):
                even[t] = vf_fma(w, vf_set1((<const float*>(x + t * stride))[i]), even[t])
            i += 1
        for t in range(tokens):
            total[t] = vf_add(total[t], vf_add(even[t], odd[t]))
    for t in range(tokens):
        vf_store(y + t * LANES, total[t])


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
