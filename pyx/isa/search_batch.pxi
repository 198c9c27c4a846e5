# The quick search for one scale: sixteen blocks side by side, a lane for each, so that what is tried may differ from
# block to block and nothing is added up across lanes. Value j of block b is at 16 j + b.

cdef enum:
    BATCH = 16
    LONGEST = 256

cdef struct Batch:
    int n                        # values of a block
    bint plain                   # no importance: w is not read
    float y[BATCH * LONGEST]     # of the order of one: a power of two, 1 / unit, times the values
    float w[BATCH * LONGEST]
    float unit[BATCH]            # 0: a block of zeros, or none
    float scale[BATCH]           # what was found, for y
    float gain[BATCH]            # and what it takes off the error
    float minimum[BATCH]
    float middle[BATCH]          # of the block; y is around it, where there is a minimum
    float mean[BATCH]            # then around this, their weighted mean
    float low[BATCH]             # the block's ends
    float high[BATCH]

cdef struct Tries:               # which 1 / scale are tried: some, then two close to the best of them
    int n
    float from_                  # of the one that just fits
    float step
    float near
    bint both                    # scales of both signs, for codes reach further down than up


cdef Tries tries(float widest, int n, float from_, float to, float near, bint both) noexcept:
    """All in units of a code at the widest one, beyond the scale that just fits."""
    return Tries(n, 1 + from_ / widest, (to - from_) / <float>(n - 1) / widest, near / widest, both)


cdef inline int take_batch(const float* x, const float* w, Py_ssize_t n_cols, Py_ssize_t first, Py_ssize_t total,
                           Batch* t) noexcept nogil:
    """The blocks from value `first` of `total` in rows of n_cols; how many there are."""
    cdef int m = <int>min(<Py_ssize_t>BATCH, (total - first) // t.n), b, j
    cdef const float* of_block
    for b in range(m):
        of_block = x + first + b * t.n
        for j in range(t.n):
            t.y[BATCH * j + b] = of_block[j]
    for b in range(m, BATCH):
        for j in range(t.n):
            t.y[BATCH * j + b] = 0
    if not t.plain:
        for b in range(BATCH):
            of_block = w + (first + b * t.n) % n_cols
            for j in range(t.n):
                t.w[BATCH * j + b] = of_block[j]
    return m


cdef inline void tame_batch(Batch* t) noexcept nogil:
    """As `tame`, for each block."""
    cdef float factor[BATCH]
    cdef vf most
    cdef int b, c, j
    for c in range(BATCH // LANES):
        most = vf_zero()
        for j in range(t.n):
            most = vf_max(most, vf_abs(vf_load(t.y + BATCH * j + c * LANES)))
        vf_store(factor + c * LANES, most)
    for b in range(BATCH):
        most_power(factor + b, t.unit + b)
    for c in range(BATCH // LANES):
        most = vf_load(factor + c * LANES)
        for j in range(t.n):
            vf_store(t.y + BATCH * j + c * LANES, vf_mul(vf_load(t.y + BATCH * j + c * LANES), most))


cdef inline void most_power(float* most, float* unit) noexcept nogil:
    """From the largest size to the power of two that brings it near one, and its inverse, or 0."""
    cdef float p = power(max(-126, min(120, -exponent_of(most[0]))))
    unit[0] = 1 / p if most[0] != 0 else <float>0
    most[0] = p


cdef inline void try_lanes(const Batch* t, int n, bint plain, int c, const Codes* codes, vf inv, vf* gain,
                           vf* scale) noexcept nogil:
    """`scale` becomes the better one, lane by lane, of itself and 1 / inv fitted to its codes."""
    cdef vf low = vf_set1(codes.low), high = vf_set1(codes.high), xq = vf_zero(), qq = vf_zero(), v, q, wq
    cdef int j
    for j in range(n):
        v = vf_load(t.y + BATCH * j + c * LANES)
        q = rounded(vf_min(vf_max(vf_mul(v, inv), low), high))
        wq = q
        if not plain:
            wq = vf_mul(vf_load(t.w + BATCH * j + c * LANES), q)
        xq = vf_add(xq, vf_mul(wq, v))
        qq = vf_add(qq, vf_mul(wq, q))
    v = vf_div(xq, vf_max(qq, vf_set1(<float>1e-30)))
    q = vf_mul(v, xq)
    scale[0] = vf_pick(q, gain[0], v, scale[0])
    gain[0] = vf_max(q, gain[0])


cdef inline void ends_of_lanes(const Batch* t, int n, int c, vf* top, vf* bottom) noexcept nogil:
    """As `ends`, but never zero."""
    cdef vf v
    cdef int j
    top[0] = bottom[0] = vf_set1(<float>1e-30)
    for j in range(n):
        v = vf_load(t.y + BATCH * j + c * LANES)
        top[0] = vf_max(top[0], v)
        bottom[0] = vf_max(bottom[0], vf_sub(vf_zero(), v))


cdef inline void best_of_batch(Batch* t, int n, bint plain, const Codes* codes, const Tries* how) noexcept nogil:
    cdef vf top, bottom, fits, turned, gain, scale, inv
    cdef vf high = vf_set1(codes.high), low = vf_set1(-codes.low)
    cdef int c, k
    for c in range(BATCH // LANES):
        gain, scale = vf_zero(), vf_set1(1)
        ends_of_lanes(t, n, c, &top, &bottom)
        fits = vf_min(vf_div(high, top), vf_div(low, bottom))
        turned = vf_sub(vf_zero(), vf_min(vf_div(high, bottom), vf_div(low, top)))
        for k in range(how.n):
            inv = vf_set1(how.from_ + how.step * <float>k)
            try_lanes(t, n, plain, c, codes, vf_mul(fits, inv), &gain, &scale)
            if how.both:
                try_lanes(t, n, plain, c, codes, vf_mul(turned, inv), &gain, &scale)
        inv = vf_div(vf_set1(1 - how.near), scale)
        try_lanes(t, n, plain, c, codes, inv, &gain, &scale)
        inv = vf_div(vf_set1(1 + how.near), scale)
        try_lanes(t, n, plain, c, codes, inv, &gain, &scale)
        vf_store(t.scale + c * LANES, scale)
        vf_store(t.gain + c * LANES, gain)


cdef inline int half_scales(const float* x, const float* w, Py_ssize_t n_cols, Py_ssize_t first, Py_ssize_t total,
                            int n, const Codes* codes, const Tries* how, uint16_t* d) noexcept nogil:
    """Half-precision scales of up to sixteen blocks of n values; how many. `w` NULL: without importance."""
    cdef Batch t
    cdef int m, b
    t.n, t.plain = n, w == NULL
    m = take_batch(x, w, n_cols, first, total, &t)
    tame_batch(&t)
    if t.plain:
        best_of_batch(&t, n, True, codes, how)
    else:
        best_of_batch(&t, n, False, codes, how)
    for b in range(m):
        d[b] = to_half(t.unit[b] * t.scale[b]) if t.unit[b] != 0 else 0
    return m
