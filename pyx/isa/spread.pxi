# Products with many tokens, where making a vector of codes costs more than using it: 5 bits take five instructions.
#
# GROUP panels are unpacked once for all tokens of a step, SPREAD columns at a time: signed bytes in the first cache,
# scales beside them. A vector of them meets MEET tokens. vpmaddubsw and vpdpbusd want one factor without sign:
# activations, which are raised by 128; what that adds to a sum is known when codes are unpacked, and sums start without
# it. With AVX2 alone sums have 16 bits. Where codes are so large that these hold two products only, a sum goes to the
# total after two; codes of 8 bits become words, whose sums have 32. Whole totals are those of gemm.pxi and floats are
# added in its order: a token has the same result, bit for bit, in either.
#
# A sum of 32 bits may start lifted, at the bits of the float 3 * 2**22: then its own bits are those of a float that is
# so much larger, and (lifted sum) * scale - 3 * 2**22 * scale, rounded once, is sum * scale without a conversion.

cdef enum:
    GROUP = 32 // LANES  # panels: the rows of a block
    SPREAD = 256        # columns
    BLOCKS = 8          # of 32 columns
    MANY = 16           # tokens that are worth the unpacking
    AT_ONCE = 128       # rows of activations that share it
    WORDS = 0           # products of a sum of 16 bits, if there are none

cdef enum:
    LIFT = 12582912     # 3 * 2**22

cdef struct Spread:
    vu codes[16 * BLOCKS * GROUP]   # (block, four columns, panel), as words two vectors each
    vs start[4 * BLOCKS * GROUP]    # (block, sum, panel): one, two or four sums
    vq q[2 * BLOCKS * GROUP]        # (block, half, panel), and so on
    vf d[BLOCKS * GROUP]
    vf m[2 * BLOCKS * GROUP]
    vf sunk[BLOCKS * GROUP]         # what a lifted sum times its scale has too much, with its sign turned
    Py_ssize_t back                 # from activations raised by 128 to the plain ones
    const uint8_t* next             # what will be unpacked after this, GROUP panels ...
    Py_ssize_t stride               # ... so far apart,
    int bytes                       # of each so much


cdef inline void fetch_next(const Spread* w, int line, int end) noexcept nogil:
    """Ask for some lines of the panels that come next, while this one's products run: nothing else sees them coming."""
    cdef int j
    for line in range(line, end):
        for j in range(GROUP):
            prefetch(w.next + j * w.stride + 64 * line)


cdef inline int dots_of_sum(int bits, int named, int offset, int halves) noexcept nogil:
    """Products of four columns that a sum takes before it goes to the total, or WORDS."""
    cdef int fit = dots_that_fit(largest_code(bits, named), offset)
    if DOT_LIMIT and is_signed(bits, named):
        return WORDS
    return 8 // halves if fit >= 8 // halves else min(fit, 2)


cdef inline bint meshes(int halves) noexcept nogil:
    """Do products of these go to mesh.pxi?"""
    return TILED and halves == 1


cdef inline bint lifts(int dots, int named) noexcept nogil:
    """Do sums start lifted? Scales of MXFP4 go up to 2**127, which leaves no room for it."""
    return (LIFTS or dots == WORDS) and named != FP4


cdef inline void spread_block(int bits, int named, int offset, int halves, const uint8_t* p, int b, int panel,
                              const Scaling* by, Spread* out) noexcept nogil:
    """One block of one panel; b: its number."""
    cdef vu codes[2]
    cdef vu even, odd
    cdef vs start[8]
    cdef vf value = vq_value(by.q[0], by.d[0])
    cdef int g, half, i, k, dots = dots_of_sum(bits, named, offset, halves), each = dots if dots else 8
    for i in range(8 // each):
        start[i] = vs_zero()
    for g in range(4):
        unpack(bits, p, g, &codes[0], &codes[1])
        for half in range(2):
            k = 4 * half + g
            if named != NUMBERS:
                codes[half] = vu_points(points[named], codes[half])
            if offset:
                codes[half] = vu_less(codes[half], offset)
            if dots == WORDS:
                even, odd = vu_even(codes[half]), vu_odd(codes[half])
                start[0] = vs_unraised_words(vs_unraised_words(start[0], even), odd)
                out.codes[(16 * b + 2 * k) * GROUP + panel] = even
                out.codes[(16 * b + 2 * k + 1) * GROUP + panel] = odd
            else:
                if not meshes(halves):
                    start[k // each] = vs_unraised(start[k // each], codes[half])
                out.codes[(8 * b + k) * GROUP + panel] = codes[half]
    if lifts(dots, named) and not meshes(halves):
        start[0] = vs_lifted(start[0])
        out.sunk[b * GROUP + panel] = vf_mul(value, vf_set1(-LIFT))
    for i in range(8 // each):
        out.start[(8 // each * b + i) * GROUP + panel] = start[i]
    for half in range(halves):
        out.q[(2 * b + half) * GROUP + panel] = by.q[half]
        out.m[(2 * b + half) * GROUP + panel] = by.m[half]
    out.d[b * GROUP + panel] = value if dots == WORDS else by.d[0]


cdef inline void spread(int bits, int named, int scheme, int offset, const uint8_t* p, int cols, int panel,
                        void* out) noexcept nogil:
    """`cols` columns of a panel, at most SPREAD."""
    if has_small_blocks(scheme):
        small_blocks(bits, named, scheme, offset, 0, p, cols, NULL, NULL, 0, NULL, panel, <Spread*>out)
    else:
        super_blocks(bits, named, scheme, offset, 0, p, cols, NULL, NULL, 0, NULL, panel, <Spread*>out)


cdef inline void spread_sums(int halves, int dots, bint lift, int tokens, const Spread* w, int b, const uint8_t** row,
                             vt* total) noexcept nogil:
    """total (panel, token): block b of GROUP panels times some rows of activations."""
    cdef const vu* codes = <const vu*>held_at(&w.codes[8 * b * GROUP])
    cdef const vs* start = <const vs*>held_at(&w.start[8 // dots * b * GROUP])
    cdef const vq* q = <const vq*>held_at(&w.q[2 * b * GROUP])
    cdef vs s[MEET * GROUP]
    cdef vu four[MEET]
    cdef vu u
    cdef vs first
    cdef vq scale
    cdef int i, k, j, t
    for i in range(8 // dots):
        for j in range(GROUP):
            first = vs_held(start[i * GROUP + j])
            for t in range(tokens):
                s[MEET * j + t] = first
        for k in range(dots * i, dots * i + dots):
            for t in range(tokens):
                four[t] = vu_four(row[t] + 4 * k)
            for j in range(GROUP):
                u = vu_held(codes[k * GROUP + j])
                for t in range(tokens):
                    s[MEET * j + t] = vs_raised(s[MEET * j + t], four[t], u)
        for j in range(GROUP):
            scale = vq_held(q[i * halves * dots // 8 * GROUP + j])
            for t in range(tokens):
                if lift and i == 0:
                    total[MEET * j + t] = vt_of_lifted(s[MEET * j + t], scale, w.sunk[b * GROUP + j])
                else:
                    total[MEET * j + t] = vt_more(total[MEET * j + t] if i else vt_zero(), s[MEET * j + t], scale)


cdef inline void spread_twos(int halves, int tokens, const Spread* w, int b, const uint8_t** row,
                             vt* total) noexcept nogil:
    """The same where sums hold eight columns: each is made at once, so that registers are left for totals."""
    cdef vu four[2 * MEET]
    cdef vs s
    cdef int i, j, t, at, q
    for j in range(GROUP * MEET):
        total[j] = vt_zero()
    for i in range(4):
        at, q = (8 * b + 2 * i) * GROUP, (2 * b + i * halves // 4) * GROUP
        for t in range(tokens):
            four[2 * t], four[2 * t + 1] = vu_four(row[t] + 8 * i), vu_four(row[t] + 8 * i + 4)
        for j in range(GROUP):
            for t in range(tokens):
                s = vs_raised(w.start[(4 * b + i) * GROUP + j], four[2 * t], w.codes[at + j])
                s = vs_raised(s, four[2 * t + 1], w.codes[at + GROUP + j])
                total[MEET * j + t] = vt_more(total[MEET * j + t], s, w.q[q + j])


cdef inline void spread_words(int tokens, const Spread* w, int b, const uint8_t** row, vt* total) noexcept nogil:
    """The same for codes of 8 bits: words, whose sums have 32 bits. row: even bytes, SPREAD further on odd ones."""
    cdef vs s[MEET * GROUP]
    cdef vu four[MEET]
    cdef vu u
    cdef int k, j, t, odd
    for j in range(GROUP):
        for t in range(tokens):
            s[MEET * j + t] = w.start[b * GROUP + j]
    for k in range(8):
        for odd in range(2):
            for t in range(tokens):
                four[t] = vu_four(row[t] + SPREAD * odd + 4 * k)
            for j in range(GROUP):
                u = vu_held(w.codes[(16 * b + 2 * k + odd) * GROUP + j])
                for t in range(tokens):
                    s[MEET * j + t] = vs_words(s[MEET * j + t], four[t], u)
    for j in range(GROUP):
        for t in range(tokens):
            total[MEET * j + t] = vt_of_words(s[MEET * j + t])


cdef inline void words_of_row(const uint8_t* x, int blocks, uint8_t* words) noexcept nogil:
    """words (2, SPREAD): even bytes of a row, and its odd ones."""
    cdef vu v
    cdef int b
    for b in range(blocks):
        v = vu_load(x + BLOCK * b)
        vu_store(words + BLOCK * b, vu_low(v))
        vu_store(words + SPREAD + BLOCK * b, vu_shr(v, 8))


cdef inline void spread_few(int halves, int dots, bint lift, bint has_min, int tokens, const Spread* w, int blocks,
                            const uint8_t* x, const Scale* scales, Py_ssize_t stride, bint first, Py_ssize_t step,
                            float* y) noexcept nogil:
    """y (GROUP, step, LANES): some blocks of GROUP panels times up to MEET rows of activations, raised by 128."""
    cdef const uint8_t* row[MEET]
    cdef const Scale* scale[MEET]
    cdef uint8_t words[MEET][2 * SPREAD]
    cdef vt total[MEET * GROUP]
    cdef vf acc[MEET * GROUP]           # where registers are left for them, else in y
    cdef vf v
    cdef vf d[MEET]
    cdef vf low[MEET]
    cdef vf high[MEET]
    cdef float* at
    cdef int b = 0, j, t, i
    for t in range(tokens):
        row[t], scale[t] = x + t * stride, scales_of(scales, stride, t)
        if dots == WORDS:
            words_of_row(row[t], blocks, words[t])
            row[t] = words[t]
        for j in range(GROUP):
            at = y + (j * step + t) * LANES
            if not DOT_LIMIT:
                acc[MEET * j + t] = vf_zero() if first else vf_load(at)
            elif first:
                vf_store(at, vf_zero())
    while b < blocks:
        b = in_turn(b)
        if dots == WORDS:
            spread_words(tokens, w, b, row, total)
        elif dots == 2:
            spread_twos(halves, tokens, w, b, row, total)
        else:
            spread_sums(halves, dots, lift, tokens, w, b, row, total)
        for t in range(tokens):
            d[t], high[t] = vf_set1(scale[t].d), vf_set1(scale[t].high)
            low[t] = vf_set1(scale[t].low if halves == 2 else scale[t].sum)
            row[t], scale[t] = row[t] + BLOCK, scale[t] + 1
        for j in range(GROUP):
            for t in range(tokens):
                i, at = 2 * b * GROUP + j, y + (j * step + t) * LANES
                if dots == WORDS:
                    v = vf_of_lifted(total[MEET * j + t], w.d[b * GROUP + j], w.sunk[b * GROUP + j])
                else:
                    v = vt_value(total[MEET * j + t], w.d[b * GROUP + j])
                if has_min:
                    v = vf_fma(w.m[i], low[t], v)
                if has_min and halves == 2:
                    v = vf_fma(w.m[i + GROUP], high[t], v)
                if DOT_LIMIT:
                    vf_store(at, vf_fma(v, d[t], vf_load(at)))
                else:
                    acc[MEET * j + t] = vf_fma(v, d[t], acc[MEET * j + t])
        b += 1
    for j in range(0 if DOT_LIMIT else GROUP):
        for t in range(tokens):
            vf_store(y + (j * step + t) * LANES, acc[MEET * j + t])


cdef inline void spread_rows(int halves, int dots, bint lift, bint has_min, const Spread* w, int blocks,
                             const uint8_t* x, const Scale* scales, Py_ssize_t stride, int rows, bint first,
                             float* y) noexcept nogil:
    cdef int t = 0, line = 0, lines = w.bytes // 64 + 1, each = lines * MEET // rows + 1
    if meshes(halves):
        mesh_rows(has_min, w, blocks, x - w.back, scales, stride, rows, first, y)
        return
    while t + MEET <= rows:
        fetch_next(w, line, min(line + each, lines))
        line += each
        spread_few(halves, dots, lift, has_min, MEET, w, blocks, x + t * stride, scales_of(scales, stride, t), stride,
                   first, rows, y + t * LANES)
        t += MEET
    while t + 2 <= rows:
        spread_few(halves, dots, lift, has_min, 2, w, blocks, x + t * stride, scales_of(scales, stride, t), stride,
                   first, rows, y + t * LANES)
        t += 2
    if t < rows:
        spread_few(halves, dots, lift, has_min, 1, w, blocks, x + t * stride, scales_of(scales, stride, t), stride,
                   first, rows, y + t * LANES)
