# The quick search for a scale and a minimum, and the one for powers of two: sixteen blocks side by side.

cdef float[3] FIRST_PAIRS = [-0.6, 0.3, 1.2]      # codes that fit beside the widest range
cdef float[4] BESIDE = [0.25, -0.25, 0, 0]      # codes, and
cdef float[4] ABOVE = [0, 0, 0.25, -0.25]       # parts of a step, away from the best of the first


cdef inline void centre_batch(Batch* t) noexcept nogil:
    """Around the middle of each block sums lose nothing."""
    cdef vf low, high, v
    cdef int c, j
    for c in range(BATCH // LANES):
        low = high = vf_load(t.y + c * LANES)
        for j in range(1, t.n):
            v = vf_load(t.y + BATCH * j + c * LANES)
            low, high = vf_min(low, v), vf_max(high, v)
        v = vf_set1(<float>0.5)
        v = vf_add(vf_mul(low, v), vf_mul(high, v))
        vf_store(t.middle + c * LANES, v)
        vf_store(t.low + c * LANES, low)
        vf_store(t.high + c * LANES, high)
        for j in range(t.n):
            vf_store(t.y + BATCH * j + c * LANES, vf_sub(vf_load(t.y + BATCH * j + c * LANES), v))


cdef struct LaneSums:        # of the blocks of a vector
    vf w
    vf x                     # weighted
    vf low
    vf high

cdef struct LanePairs:       # the best so far
    vf gain
    vf scale
    vf minimum


cdef inline vf to_mean(Batch* t, int n, bint plain, int c) noexcept nogil:
    """Values become what they are above their weighted mean, which is returned: where one of them outweighs all
    others, its products would leave no bits for theirs."""
    cdef vf v, w = vf_set1(1), sw = vf_zero(), sx = vf_zero()
    cdef int j
    for j in range(n):
        v = vf_load(t.y + BATCH * j + c * LANES)
        if not plain:
            w = vf_load(t.w + BATCH * j + c * LANES)
            v = vf_mul(w, v)
        sw, sx = vf_add(sw, w), vf_add(sx, v)
    v = vf_div(sx, sw)
    for j in range(n):
        vf_store(t.y + BATCH * j + c * LANES, vf_sub(vf_load(t.y + BATCH * j + c * LANES), v))
    return v


cdef inline void sum_lanes(const Batch* t, int n, bint plain, int c, LaneSums* s) noexcept nogil:
    cdef vf v, w = vf_set1(1)
    cdef int j
    s.w, s.x, s.low, s.high = vf_zero(), vf_zero(), vf_zero(), vf_zero()
    for j in range(n):
        v = vf_load(t.y + BATCH * j + c * LANES)
        s.low, s.high = vf_min(s.low, v), vf_max(s.high, v)
        if not plain:
            w = vf_load(t.w + BATCH * j + c * LANES)
            v = vf_mul(w, v)
        s.w = vf_add(s.w, w)
        s.x = vf_add(s.x, v)


cdef inline void try_lane_pairs(const Batch* t, int n, bint plain, int c, const LaneSums* s, float high, vf inv,
                                vf least, LanePairs* best) noexcept nogil:
    """As try_pairs, one pair for each block."""
    cdef vf zero = vf_zero(), top = vf_set1(high), xq = vf_zero(), qq = vf_zero(), sq = vf_zero()
    cdef vf v, q, wq, d, sharp, scale, minimum, gain
    cdef vf middle = rounded(vf_min(vf_max(vf_mul(vf_sub(zero, least), inv), zero), top))   # the code of the mean
    cdef int j
    for j in range(n):
        v = vf_load(t.y + BATCH * j + c * LANES)
        q = vf_sub(rounded(vf_min(vf_max(vf_mul(vf_sub(v, least), inv), zero), top)), middle)
        wq = q
        if not plain:
            wq = vf_mul(vf_load(t.w + BATCH * j + c * LANES), q)
        xq = vf_add(xq, vf_mul(wq, v))
        qq = vf_add(qq, vf_mul(wq, q))
        sq = vf_add(sq, wq)
    v = vf_mul(s.w, qq)
    d = vf_sub(v, vf_mul(sq, sq))
    sharp = vf_sub(d, vf_mul(v, vf_set1(SHARP)))
    d = vf_max(d, vf_set1(<float>1e-30))
    scale = vf_div(vf_sub(vf_mul(s.w, xq), vf_mul(s.x, sq)), d)
    minimum = vf_div(vf_sub(vf_mul(qq, s.x), vf_mul(sq, xq)), d)
    scale = vf_pick(sharp, zero, scale, vf_div(xq, vf_max(qq, vf_set1(<float>1e-30))))
    minimum = vf_pick(sharp, zero, minimum, zero)
    gain = vf_add(vf_mul(scale, xq), vf_mul(minimum, s.x))
    gain = vf_pick(scale, zero, gain, zero)
    minimum = vf_sub(minimum, vf_mul(scale, middle))
    best.scale = vf_pick(gain, best.gain, scale, best.scale)
    best.minimum = vf_pick(gain, best.gain, minimum, best.minimum)
    best.gain = vf_max(gain, best.gain)


cdef inline void best_pairs_of_batch(Batch* t, int n, bint plain, float high) noexcept nogil:
    """Three scales, with what they leave out cut above, on both sides or below; then four close to the best."""
    cdef LaneSums sums
    cdef LanePairs best
    cdef vf natural, width, inv, step, zero = vf_zero(), one = vf_set1(1), found, mean
    cdef int c, k, cut
    for c in range(BATCH // LANES):
        mean = to_mean(t, n, plain, c)
        sum_lanes(t, n, plain, c, &sums)
        best.scale, best.minimum = zero, vf_div(sums.x, sums.w)
        best.gain = vf_mul(best.minimum, sums.x)
        width = vf_max(vf_sub(sums.high, sums.low), vf_set1(<float>1e-30))
        natural = vf_div(vf_set1(high), width)
        for k in range(3):
            inv = vf_mul(natural, vf_set1(1 + FIRST_PAIRS[k] / high))
            step = vf_mul(vf_sub(width, vf_div(vf_set1(high), inv)), vf_set1(<float>0.5))
            for cut in range(3):
                found = vf_add(sums.low, vf_mul(step, vf_set1(<float>cut)))
                try_lane_pairs(t, n, plain, c, &sums, high, inv, found, &best)
        for k in range(4):
            found = vf_pick(best.scale, zero, best.scale, one)
            inv = vf_add(vf_div(one, found), vf_mul(natural, vf_set1(BESIDE[k] / high)))
            found = vf_add(best.minimum, vf_mul(best.scale, vf_set1(ABOVE[k])))
            try_lane_pairs(t, n, plain, c, &sums, high, inv, found, &best)
        vf_store(t.scale + c * LANES, best.scale)
        vf_store(t.minimum + c * LANES, best.minimum)
        vf_store(t.mean + c * LANES, mean)


cdef inline int half_pairs(const float* x, const float* w, Py_ssize_t n_cols, Py_ssize_t first, Py_ssize_t total,
                           float high, Scale2* pairs) noexcept nogil:
    """Scales and minimums of up to sixteen blocks of 32 values; how many. `w` NULL: without importance."""
    cdef Batch t
    cdef Scale2 stored
    cdef int m, b
    t.n, t.plain = 32, w == NULL
    m = take_batch(x, w, n_cols, first, total, &t)
    centre_batch(&t)
    tame_batch(&t)
    if t.plain:
        best_pairs_of_batch(&t, 32, True, high)
    else:
        best_pairs_of_batch(&t, 32, False, high)
    for b in range(m):
        pairs[b] = Scale2(t.scale[b], t.minimum[b], 0, 0)
        if t.unit[b] == 0:
            pairs[b] = Scale2(0, t.middle[b], 0, 0)
            continue
        stored = stored_before(x + first + 32 * b, t.low[b], t.high[b], <int>high)
        if stored.scale != 0:
            pairs[b] = stored
            continue
        if on_grid(&t, b, high, pairs + b):
            settle(&t, b, high, pairs + b)
        through_mean(pairs + b, t.unit[b])
        pairs[b] = Scale2(pairs[b].scale * t.unit[b], (pairs[b].minimum + t.mean[b]) * t.unit[b] + t.middle[b], 0, 0)
    return m


cdef inline void through_mean(Scale2* found, float unit) noexcept nogil:
    """The line of values over codes goes through the mean of both, with the scale that is stored, too."""
    cdef float scale = found.scale * unit, half = half_to_float(to_half(scale))
    if half > 0 and half < <float>1e30:
        found.minimum *= half / scale


cdef inline Scale2 stored_before(const float* x, float low, float high, int most) noexcept nogil:
    """The scale and minimum, halves, of an earlier quantization: 32 values are exactly codes of it, the lowest and the
    highest at least most - 2 codes apart. Zeros where there is none such."""
    cdef float d, m
    cdef int span, first
    for span in range(most, most - 3, -1):
        d = half_to_float(to_half((high - low) / <float>span))
        if not all_codes(x, d, low, span, <float>1e-3):
            continue
        for first in range(most - span + 1):
            m = half_to_float(to_half(low - d * <float>first))
            if all_codes(x, d, m, most, 0):
                return Scale2(d, m, 0, 0)
    return Scale2(0, 0, 0, 0)


cdef inline bint all_codes(const float* x, float d, float m, int most, float off) noexcept nogil:
    """Is each of 32 values d * code + m, but for `off` of a step?"""
    cdef float inv = inverse_of(d)
    cdef int j
    for j in range(32):
        if fabsf(d * <float>code_near((x[j] - m) * inv, 0, most) + m - x[j]) > off * d:
            return False
    return True


cdef inline bint on_grid(const Batch* t, int b, float high, const Scale2* found) noexcept nogil:
    """Are the first values of a block where codes are, as after an earlier quantization?"""
    cdef float off, inv = inverse_of(found.scale)
    cdef int j
    for j in range(4):
        off = (t.y[BATCH * j + b] - found.minimum) * inv
        if fabsf(off - <float>code_near(off, 0, <int>high)) > <float>1e-3:
            return False
    return True


cdef void settle(const Batch* t, int b, float high, Scale2* found) noexcept nogil:
    """The least squares once more in double precision: so values on a grid come back exactly."""
    cdef double ww = 0, wx = 0, wq = 0, xq = 0, qq = 0, det, w, x, q
    cdef float inv = inverse_of(found.scale)
    cdef int j
    for j in range(32):
        x, w = t.y[BATCH * j + b], 1 if t.plain else <double>t.w[BATCH * j + b]
        q = code_near((t.y[BATCH * j + b] - found.minimum) * inv, 0, <int>high)
        ww += w
        wx += w * x
        wq += w * q
        xq += w * x * q
        qq += w * q * q
    det = ww * qq - wq * wq
    if det > 1e-9 * ww * qq:
        found.scale, found.minimum = <float>((ww * xq - wx * wq) / det), <float>((qq * wx - wq * xq) / det)


cdef inline vf fp4_size(vf a) noexcept nogil:
    """The nearest of the sizes 0, 1, 2, 3, 4, 6, 8, 12 to a >= 0."""
    cdef vf two = vf_set1(2), half = vf_set1(<float>0.5), four = vf_set1(4), quarter = vf_set1(<float>0.25), large
    a = vf_min(a, vf_set1(12))
    large = vf_pick(a, vf_set1(8), vf_mul(rounded(vf_mul(a, quarter)), four), vf_mul(rounded(vf_mul(a, half)), two))
    return vf_pick(a, four, large, rounded(a))


cdef inline void best_powers_of_batch(Batch* t, int n, bint plain) noexcept nogil:
    """scale = 1/4, 1/8 or 1/16, for sizes up to 12 and the largest value of 1 to 2."""
    cdef vf gain, scale, v, q, wq, xq, qq, s
    cdef int c, j, k
    for c in range(BATCH // LANES):
        gain, scale = vf_set1(-1), vf_set1(1)
        for k in range(3):
            s, xq, qq = vf_set1(power(k - 4)), vf_zero(), vf_zero()
            for j in range(n):
                v = vf_abs(vf_load(t.y + BATCH * j + c * LANES))
                q = fp4_size(vf_mul(v, vf_set1(power(4 - k))))
                wq = q
                if not plain:
                    wq = vf_mul(vf_load(t.w + BATCH * j + c * LANES), q)
                xq = vf_add(xq, vf_mul(wq, v))
                qq = vf_add(qq, vf_mul(wq, q))
            v = vf_mul(s, vf_sub(vf_add(xq, xq), vf_mul(s, qq)))
            scale = vf_pick(v, gain, s, scale)
            gain = vf_max(v, gain)
        vf_store(t.scale + c * LANES, scale)
