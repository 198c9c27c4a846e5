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


cdef inline int dots_that_fit(int largest, int offset) noexcept nogil:
    """Products with (code - offset) that the 16 bits of a sum hold, whatever it passes on the way to its end."""
    return DOT_LIMIT // (2 * 127 * max(offset, largest - offset)) if DOT_LIMIT else 8


cdef struct Scaling:    # of one block and LANES rows: value = q * d * (code - offset) + m, for each half of it
    vq q[2]
    vf d[2]
    vf m[2]


cdef inline void no_scaling(Scaling* by) noexcept nogil:
    cdef int i
    for i in range(2):
        by.d[i], by.m[i], by.q[i] = vf_zero(), vf_zero(), vq_make(vf_zero(), vf_zero())


cdef inline const Scale* scales_of(const Scale* scales, Py_ssize_t stride, int t) noexcept nogil:
    """The same blocks of t tokens further on."""
    return <const Scale*>(<const uint8_t*>scales + t * stride)


cdef inline void sums(int bits, int named, int offset, int part, int tokens, const uint8_t* p, const uint8_t* x,
                      Py_ssize_t stride, const Scale* scales, vq q, vt* total) noexcept nogil:
    """total += q * (sum of (code - offset) * activation) over columns 0 ... 15 (part 0), 16 ... 31 (1), or all (2).

    Sums of 16 bits wrap, so what they pass on the way does not matter: if they start at -offset * activations, all that
    must fit is their end. Where even that is too large they are added to the total every few columns.
    """
    cdef vs s[TILE]
    cdef vu codes[2]
    cdef bint eight = is_signed(bits, named)
    cdef int g, t, half, dots = 0, which = (part + 1) % 3, largest = largest_code(bits, named)
    cdef bint starts = offset > 0 and dots_that_fit(largest, offset) >= (8 if part == 2 else 4)
    cdef int fit = 8 if starts else dots_that_fit(largest, 0)
    for t in range(tokens):
        s[t] = vs_start(scales_of(scales, stride, t).less[which], offset) if starts else vs_zero()
        if offset and not starts:
            total[t] = vt_less(total[t], scales_of(scales, stride, t).less[which], q, offset)
    for g in range(4):
        unpack(bits, p, g, &codes[0], &codes[1])
        for half in range(2):
            if part != 2 and part != half:
                continue
            if named != NUMBERS:
                codes[half] = vu_points(points[named], codes[half])
            for t in range(tokens):
                if dots == fit:
                    total[t], s[t] = vt_more(total[t], s[t], q), vs_zero()
                s[t] = dot(eight, s[t], codes[half], x + t * stride + 16 * half + 4 * g)
            dots = 1 if dots == fit else dots + 1
    for t in range(tokens):
        total[t] = vt_more(total[t], s[t], q)


cdef inline void block(int bits, int named, int offset, int halves, bint apart, bint has_min, int tokens,
                       const uint8_t* p, const uint8_t* x, Py_ssize_t stride, const Scale* scales, const Scaling* by,
                       vf* acc) noexcept nogil:
    """acc[t] += one block of 32 columns times token t.

    halves 2: columns 0 ... 15 and 16 ... 31 have scales (and minima) of their own; apart: their d differs, too.
    Totals are whole numbers below 2**24, if scales are.
    """
    cdef vt total[TILE]
    cdef vf y[TILE]
    cdef const Scale* scale
    cdef int half, t
    for half in range(halves):
        if half == 0 or apart:
            for t in range(tokens):
                total[t] = vt_zero()
        sums(bits, named, offset, half if halves == 2 else 2, tokens, p, x, stride, scales, by.q[half], total)
        if apart:
            for t in range(tokens):
                y[t] = vf_add(y[t], vt_value(total[t], by.d[1])) if half else vt_value(total[t], by.d[0])
    for t in range(tokens):
        scale = scales_of(scales, stride, t)
        if not apart:
            y[t] = vt_value(total[t], by.d[0])
        if has_min:
            y[t] = vf_fma(by.m[0], vf_set1(scale.low if halves == 2 else scale.sum), y[t])
        if has_min and halves == 2:
            y[t] = vf_fma(by.m[1], vf_set1(scale.high), y[t])
        acc[t] = vf_fma(y[t], vf_set1(scale.d), acc[t])


cdef inline void small_blocks(int bits, int named, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                              const uint8_t* x, const Scale* scales, Py_ssize_t stride, vf* acc,
                              int panel, Spread* out) noexcept nogil:
    """Blocks of 32 columns with scales of their own, or with one for two, four or eight of them. No tokens: unpack."""
    cdef Scaling by
    cdef vf one = vf_set1(1)
    cdef int b, shared = 2 if scheme == D64 else 4 if scheme == D128 else 8 if scheme == D256 else 1
    no_scaling(&by)
    for b in range(cols // 32):
        if tokens == 1:
            fetch_ahead(p, plane_bytes(bits))
        if b % shared == 0:
            if scheme == E4:
                by.d[0], by.d[1] = vf_load_e4m3(p), vf_load_e4m3(p + LANES)
                by.q[1] = vq_make(one, by.d[1])
            else:
                by.d[0] = vf_load_e8m0(p) if scheme == E8 else vf_load_half(p)
            by.q[0] = vq_make(one, by.d[0])
            p += LANES if scheme == E8 else 2 * LANES
            if scheme == DM:
                by.m[0] = vf_load_half(p)
                if offset:
                    by.m[0] = vf_fma(by.d[0], vf_set1(offset), by.m[0])
                p += 2 * LANES
        if tokens:
            block(bits, named, offset, 2 if scheme == E4 else 1, scheme == E4 and DOT_LIMIT, scheme == DM, tokens, p,
                  x + 32 * b, stride, scales + b, &by, acc)
        else:
            spread_block(bits, named, offset, 1, p, b, panel, &by, out)
        p += plane_bytes(bits)


cdef inline int scale_bytes(int scheme) noexcept nogil:
    """Bytes of the small scales of one row and 256 columns."""
    return 4 if scheme == N32 or scheme == N32S else 8 if scheme == K32 or scheme == N16 else 16


cdef inline void small_scales(int scheme, int offset, const uint8_t* s, int shift, vf d, vf dmin,
                              Scaling* by) noexcept nogil:
    """The scales of one block of 32 columns, whole numbers times d."""
    cdef vf n = vf_zero(), two = vf_set1(2)
    by.d[0] = d
    if scheme == K:
        n, by.m[0] = vf_load_u8(s), vf_mul(dmin, vf_load_u8(s + 8 * LANES))
        if offset:
            by.m[0] = vf_fma(vf_mul(d, vf_set1(offset)), n, by.m[0])
    elif scheme == K32 or scheme == K16:
        n = vf_load_i8(s)
    elif scheme == K16M:
        n = vf_load_u4(s, 0)
        by.m[0], by.m[1] = vf_mul(dmin, vf_load_u4(s, 4)), vf_mul(dmin, vf_load_u4(s + LANES, 4))
    elif scheme == N16 or scheme == N32:
        n = vf_fma(vf_load_u4(s, shift), two, vf_set1(1))
    elif scheme == N32S:
        n = vf_fma(vf_load_u4(s, shift), two, vf_set1(-15))
        by.m[0], n = vf_mul(vf_mul(d, vf_set1(0.125)), n), vf_abs(n)
    by.q[0] = vq_make(n, d)
    if scheme == K16:
        by.q[1] = vq_make(vf_load_i8(s + LANES), d)
    elif scheme == K16M:
        by.q[1] = vq_make(vf_load_u4(s + LANES, 0), d)
    elif scheme == N16:
        by.q[1] = vq_make(vf_fma(vf_load_u4(s, 4), two, vf_set1(1)), d)


cdef inline void super_blocks(int bits, int named, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                              const uint8_t* x, const Scale* scales, Py_ssize_t stride, vf* acc,
                              int panel, Spread* out) noexcept nogil:
    """Blocks of 256 columns whose scales are small integers times a half. No tokens: unpack them."""
    cdef Scaling by
    cdef vf d = vf_zero(), dmin = d
    cdef bint nibbles = scheme == N16 or scheme == N32 or scheme == N32S, has_min = scheme == K or scheme == K16M
    cdef int b, halves = 2 if scheme == K16 or scheme == K16M or scheme == N16 else 1
    cdef const uint8_t* s = p
    no_scaling(&by)
    for b in range(cols // 32):
        if tokens == 1:
            fetch_ahead(p, plane_bytes(bits))
        if b % 8 == 0:
            d = vf_load_half(p)
            p += 2 * LANES
            if has_min:
                dmin = vf_sub(vf_zero(), vf_load_half(p))
                p += 2 * LANES
            if nibbles:
                d = vf_mul(d, vf_set1(unit(named)))
            s = p
            p += scale_bytes(scheme) * LANES
        small_scales(scheme, offset, s, 4 * (b & 1) if halves == 1 else 0, d, dmin, &by)
        if tokens:
            block(bits, named, offset, halves, False, has_min or scheme == N32S, tokens, p, x + 32 * b, stride,
                  scales + b, &by, acc)
        else:
            spread_block(bits, named, offset, halves, p, b, panel, &by, out)
        if nibbles and halves == 1:
            s += LANES * (b & 1)
        else:
            s += LANES if halves == 1 or nibbles else 2 * LANES
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
        small_blocks(bits, named, scheme, offset, tokens, p, cols, x, scales, stride, acc, 0, NULL)
    else:
        super_blocks(bits, named, scheme, offset, tokens, p, cols, x, scales, stride, acc, 0, NULL)
    for t in range(tokens):
        vf_store(y + t * LANES, acc[t])


cdef inline void tile(int bits, int named, int scheme, int offset, const uint8_t* p, int cols, const uint8_t* x,
                      const Scale* scales, Py_ssize_t stride, int tokens, float* y) noexcept nogil:
    """Any number of tokens up to TILE; bits 32, 16, 17 mean F32, F16, BF16."""
    cdef int kind = 0 if bits == 32 else 1 if bits == 16 else 2
    if bits >= 16:
        if tokens == 1:
            float_tile(kind, 1, p, cols, x, stride, y)
        else:
            float_tail(kind, tokens, p, cols, x, stride, y)
    elif tokens == TILE and dots_that_fit(largest_code(bits, named), offset) >= 4:  # widened sums take more registers
        packed_tile(bits, named, scheme, offset, TILE, p, cols, x, scales, stride, y)
    elif tokens == 1:
        packed_tile(bits, named, scheme, offset, 1, p, cols, x, scales, stride, y)
    else:
        packed_tail(bits, named, scheme, offset, tokens, p, cols, x, scales, stride, y)


cdef inline void packed_tail(int bits, int named, int scheme, int offset, int tokens, const uint8_t* p, int cols,
                             const uint8_t* x, const Scale* scales, Py_ssize_t stride, float* y) noexcept nogil:
    cdef int t = 0
    while t + 4 <= tokens:
        packed_tile(bits, named, scheme, offset, 4, p, cols, x + t * stride, scales_of(scales, stride, t), stride,
                    y + t * LANES)
        t += 4
    while t + 2 <= tokens:
        packed_tile(bits, named, scheme, offset, 2, p, cols, x + t * stride, scales_of(scales, stride, t), stride,
                    y + t * LANES)
        t += 2
    if t < tokens:
        packed_tile(bits, named, scheme, offset, 1, p, cols, x + t * stride, scales_of(scales, stride, t), stride,
                    y + t * LANES)
