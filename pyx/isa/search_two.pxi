# The search for a scale and a minimum at once: value = scale * code + minimum, codes 0 ... high.

cdef float SHARP = 1e-4
"""How far apart codes must be, variance over mean square under the weights, to tell scale from minimum in float32."""

cdef struct Sums:        # over the values of a group
    float w
    float mean           # weighted
    float x              # what is left of it, weighted, when values are taken around it
    float lowest         # around the mean
    float highest


cdef inline Sums around_mean(const float* x, const float* w, int n, float* y) noexcept nogil:
    """y = x less the weighted mean: where one value outweighs all others, its products leave no bits for theirs."""
    cdef Sums s = Sums(0, 0, 0, 0, 0)
    cdef int j
    for j in range(n):
        s.w += w[j]
        s.mean += w[j] * x[j]
    s.mean /= s.w
    for j in range(n):
        y[j] = x[j] - s.mean
        s.x += w[j] * y[j]
        s.lowest = y[j] if y[j] < s.lowest else s.lowest
        s.highest = y[j] if y[j] > s.highest else s.highest
    return s


cdef inline void try_pairs(const float* y, const float* w, int n, const Sums* sums, float high, const float* inverse,
                           const float* minimum, Scale2* best) noexcept nogil:
    """As try_scales, for sixteen pairs: codes are nearest to (y - minimum) * inverse, and minimum is around the mean.

    Codes are taken around that of the mean. Minimums above zero, which Q2_K, Q4_K and Q5_K cannot store, become zero.
    """
    cdef float gains[CANDIDATES]
    cdef float gains0[CANDIDATES]
    cdef float scales[CANDIDATES]
    cdef float scales0[CANDIDATES]
    cdef float minima[CANDIDATES]
    cdef float squares[CANDIDATES]
    cdef float sharp[CANDIDATES]
    cdef vf zero = vf_zero(), top = vf_set1(high), sw = vf_set1(sums.w), sx = vf_set1(sums.x), mean = vf_set1(sums.mean)
    cdef vf inv, least, q, wq, v, xq, qq, sq, d, s, m, middle
    cdef int c, j
    for c in range(CANDIDATES // LANES):
        inv, least = vf_load(inverse + c * LANES), vf_load(minimum + c * LANES)
        middle = rounded(vf_min(vf_max(vf_mul(vf_sub(zero, least), inv), zero), top))
        xq, qq, sq = zero, zero, zero
        for j in range(n):
            v = vf_set1(y[j])
            q = vf_sub(rounded(vf_min(vf_max(vf_mul(vf_sub(v, least), inv), zero), top)), middle)
            wq = vf_mul(vf_set1(w[j]), q)
            xq = vf_add(xq, vf_mul(wq, v))
            qq = vf_add(qq, vf_mul(wq, q))
            sq = vf_add(sq, wq)
        d = vf_sub(vf_mul(sw, qq), vf_mul(sq, sq))
        vf_store(sharp + c * LANES, vf_sub(d, vf_mul(vf_mul(sw, qq), vf_set1(SHARP))))
        d = vf_max(d, vf_set1(<float>1e-30))
        s = vf_div(vf_sub(vf_mul(sw, xq), vf_mul(sx, sq)), d)
        m = vf_div(vf_sub(vf_mul(qq, sx), vf_mul(sq, xq)), d)
        vf_store(scales + c * LANES, s)
        vf_store(minima + c * LANES, vf_sub(vf_add(mean, m), vf_mul(s, middle)))
        vf_store(gains + c * LANES, vf_add(vf_mul(s, xq), vf_mul(m, sx)))
        # around zero: sum(w q q) and sum(w x q), then the scale they want, and what it gains
        v = vf_add(qq, vf_mul(middle, vf_add(vf_add(sq, sq), vf_mul(middle, sw))))
        vf_store(squares + c * LANES, v)
        s = vf_add(vf_add(xq, vf_mul(middle, sx)), vf_mul(mean, vf_add(sq, vf_mul(middle, sw))))
        s = vf_div(s, vf_max(v, vf_set1(<float>1e-30)))
        m = vf_sub(vf_mul(s, middle), mean)
        vf_store(scales0 + c * LANES, s)
        vf_store(gains0 + c * LANES, gain_around_mean(s, m, sw, sx, xq, qq, sq))
    for c in range(CANDIDATES):
        if minima[c] > 0 or sharp[c] <= 0:
            scales[c], minima[c], gains[c] = scales0[c], 0, gains0[c]
        if gains[c] > best.gain and scales[c] > 0:
            best.gain, best.scale, best.minimum, best.qq = gains[c], scales[c], minima[c], squares[c]


cdef inline vf gain_around_mean(vf s, vf m, vf sw, vf sx, vf xq, vf qq, vf sq) noexcept nogil:
    """What y = s * q + m takes off the error, by sums of values and codes around their mean's."""
    cdef vf cross = vf_mul(vf_mul(s, m), sq), gain = vf_add(vf_mul(s, xq), vf_mul(m, sx))
    gain = vf_sub(vf_add(gain, gain), vf_add(cross, cross))
    return vf_sub(gain, vf_add(vf_mul(vf_mul(s, s), qq), vf_mul(vf_mul(m, m), sw)))


cdef Scale2 best_pair(const float* x, const float* w, int n, const Codes* codes) noexcept nogil:
    """The scale, not negative, and the minimum, not above zero, for n values of the order of one with importance w."""
    cdef float y[32]
    cdef Sums sums = around_mean(x, w, n, y)
    cdef float lowest = min(sums.lowest, -sums.mean), width = sums.highest - lowest, step, natural
    cdef float inverse[CANDIDATES]
    cdef float minimum[CANDIDATES]
    cdef Scale2 best = Scale2(0, min(sums.mean, 0), 0, 0)
    cdef int c, turn
    if sums.mean > 0:
        best.gain = -sums.mean * sums.mean * sums.w
    if width <= 0:
        return best
    natural = codes.high / width
    step = (codes.to - codes.from_) / codes.high / 4
    for c in range(CANDIDATES):                 # five scales; what they leave out is cut above, on both sides or below
        inverse[c] = natural * (1 + codes.from_ / codes.high + step * <float>(c % 5))
        minimum[c] = lowest + (width - codes.high / inverse[c]) * <float>(c // 5) / 2
    inverse[15], minimum[15] = natural, lowest
    try_pairs(y, w, n, &sums, codes.high, inverse, minimum, &best)
    for turn in range(2):
        if best.scale > 0:
            around(&best, sums.mean, natural * step / (4 if turn == 0 else 12), inverse, minimum)
            try_pairs(y, w, n, &sums, codes.high, inverse, minimum, &best)
    return best


cdef inline void around(const Scale2* found, float mean, float step, float* inverse, float* minimum) noexcept nogil:
    """Four scales times four minimums close to those found, and these themselves, whose codes may be others now."""
    cdef int c
    for c in range(CANDIDATES):
        inverse[c] = 1 / found.scale + step * <float>((c & 3) - 1)
        minimum[c] = found.minimum - mean + found.scale * <float>((c >> 2) - 1) / 4
