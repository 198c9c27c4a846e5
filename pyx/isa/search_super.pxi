# Super-blocks: 256 values in groups, whose scales (and minimums) are themselves codes times one scale for all.
#
# First each group is fitted alone, then the scale of the scales; for that scale the code of every group's scale, by the
# error that its values really have with it; and for those codes the scale again, by least squares. (More rounds of this
# take less than a thousandth off the error.)

cdef enum:
    ROUNDS = 1

cdef struct Grouped:     # what was found for a super-block
    int groups
    int size             # of a group
    float unit           # what the values were divided by
    uint16_t d           # half precision
    uint16_t dmin
    int8_t l[16]         # codes of scales
    int8_t m[16]         # codes of minimums


cdef struct Tried:       # the best of sixteen given scales
    int place
    float gain
    float xq
    float qq


cdef Tried try_fixed(const float* x, const float* w, int n, const Codes* codes, const float* scales) noexcept nogil:
    """The one of sixteen scales whose codes take most off the error: 2 s sum(w x q) - s s sum(w q q)."""
    cdef float gains[CANDIDATES]
    cdef float inverse[CANDIDATES]
    cdef float sums_xq[CANDIDATES]
    cdef float sums_qq[CANDIDATES]
    cdef vf inv, q, wq, v, xq, qq
    cdef Tried best = Tried(0, -INFINITY, 0, 0)
    cdef int c, j
    for c in range(CANDIDATES):
        inverse[c] = inverse_of(scales[c])
    for c in range(CANDIDATES // LANES):
        inv, xq, qq = vf_load(inverse + c * LANES), vf_zero(), vf_zero()
        for j in range(n):
            v = vf_set1(x[j])
            q = nearest_code(vf_mul(v, inv), codes)
            wq = vf_mul(vf_set1(w[j]), q)
            xq = vf_add(xq, vf_mul(wq, v))
            qq = vf_add(qq, vf_mul(wq, q))
        v = vf_load(scales + c * LANES)
        vf_store(gains + c * LANES, vf_mul(v, vf_sub(vf_add(xq, xq), vf_mul(v, qq))))
        vf_store(sums_xq + c * LANES, xq)
        vf_store(sums_qq + c * LANES, qq)
    for c in range(CANDIDATES):
        if gains[c] > best.gain:
            best = Tried(c, gains[c], sums_xq[c], sums_qq[c])
    return best


cdef float fit_codes(const float* x, const float* w, const Codes* codes, const Codes* scale_codes, const float* ideal,
                     float d, Grouped* found) noexcept nogil:
    """Codes of all groups' scales for one d; returns the d that these codes want."""
    cdef int low = <int>scale_codes.low, high = <int>scale_codes.high, g, c, code, first
    cdef float scales[CANDIDATES]
    cdef float top = 0, bottom = 0
    cdef Tried best
    for g in range(found.groups):
        code = whole(max(<float>-1000, min(<float>1000, ideal[g] / d)))
        first = max(low, min(high - CANDIDATES + 1, code - CANDIDATES // 2))
        for c in range(CANDIDATES):
            scales[c] = d * <float>(first + c)
        best = try_fixed(x + g * found.size, w + g * found.size, found.size, codes, scales)
        code = first + best.place
        found.l[g] = <int8_t>code
        top += <float>code * best.xq
        bottom += <float>(code * code) * best.qq
    return top / bottom if bottom > 0 else d


cdef float fit_lane_codes(const Batch* t, const Codes* codes, const Codes* scale_codes, const float* ideal, float d,
                          Grouped* found) noexcept nogil:
    """As fit_codes for sixteen groups of sixteen, each in a lane; codes at most two from the nearest are tried."""
    cdef float code[BATCH]
    cdef float scales[BATCH]
    cdef float inverse[BATCH]
    cdef float gains[BATCH]
    cdef float best[BATCH]
    cdef float sums_xq[BATCH]
    cdef float sums_qq[BATCH]
    cdef float best_xq[BATCH]
    cdef float best_qq[BATCH]
    cdef float top = 0, bottom = 0
    cdef vf low = vf_set1(codes.low), high = vf_set1(codes.high), inv, v, q, wq, xq, qq
    cdef int g, c, j, k
    for k in range(5):
        for g in range(BATCH):
            code_beside(ideal[g] / d, k, scale_codes, code + g)
            scales[g] = d * code[g]
            inverse[g] = inverse_of(scales[g])
        for c in range(BATCH // LANES):
            inv, xq, qq = vf_load(inverse + c * LANES), vf_zero(), vf_zero()
            for j in range(16):
                v = vf_load(t.y + BATCH * j + c * LANES)
                q = rounded(vf_min(vf_max(vf_mul(v, inv), low), high))
                wq = vf_mul(vf_load(t.w + BATCH * j + c * LANES), q)
                xq = vf_add(xq, vf_mul(wq, v))
                qq = vf_add(qq, vf_mul(wq, q))
            v = vf_load(scales + c * LANES)
            vf_store(gains + c * LANES, vf_mul(v, vf_sub(vf_add(xq, xq), vf_mul(v, qq))))
            vf_store(sums_xq + c * LANES, xq)
            vf_store(sums_qq + c * LANES, qq)
        for g in range(BATCH):
            if k == 0 or gains[g] > best[g]:
                best[g], best_xq[g], best_qq[g] = gains[g], sums_xq[g], sums_qq[g]
                found.l[g] = <int8_t>whole(code[g])
    for g in range(BATCH):
        top += <float>found.l[g] * best_xq[g]
        bottom += <float>(found.l[g] * found.l[g]) * best_qq[g]
    return top / bottom if bottom > 0 else d


cdef inline void code_beside(float ideal, int k, const Codes* scale_codes, float* code) noexcept nogil:
    """The k-th of five codes around the nearest to `ideal`."""
    cdef int nearest = whole(max(<float>-1000, min(<float>1000, ideal)))
    code[0] = max(scale_codes.low, min(scale_codes.high, <float>(nearest + k - 2)))


cdef void fit_sixteen(const float* x, const float* w, const Codes* codes, const Tries* how, const Codes* scale_codes,
                      Grouped* found) noexcept nogil:
    """As fit_super, for sixteen groups, which are sixteen blocks of a batch."""
    cdef Batch t
    cdef float y[256]
    cdef float weight[BATCH]
    cdef float d
    cdef int g
    memset(found, 0, sizeof(Grouped))
    found.groups, found.size = 16, 16
    found.unit = tame(x, 256, y)
    if found.unit == 0:
        return
    t.n, t.plain = 16, False
    take_batch(y, w, 256, 0, 256, &t)
    best_of_batch(&t, 16, False, codes, how)
    for g in range(BATCH):
        weight[g] = t.gain[g] / (t.scale[g] * t.scale[g])
        t.scale[g] = t.scale[g] if t.gain[g] > 0 else <float>0
    d = best_scale(t.scale, weight, BATCH, scale_codes).scale
    found.d = to_half(d * found.unit)
    if half_to_float(found.d) != 0:
        d = fit_lane_codes(&t, codes, scale_codes, t.scale, half_to_float(found.d) / found.unit, found)
        found.d = to_half(d * found.unit)


cdef void fit_super(const float* x, const float* w, int groups, const Codes* codes, const Codes* scale_codes,
                    Grouped* found) noexcept nogil:
    """Groups with a signed scale each."""
    cdef float y[256]
    cdef float ideal[16]
    cdef float weight[16]
    cdef Scale1 one
    cdef float d
    cdef int g
    memset(found, 0, sizeof(Grouped))
    found.groups, found.size = groups, 256 // groups
    found.unit = tame(x, 256, y)
    if found.unit == 0:
        return
    for g in range(groups):
        one = best_scale(y + g * found.size, w + g * found.size, found.size, codes)
        ideal[g] = one.scale
        weight[g] = one.gain / (one.scale * one.scale) if one.scale != 0 else 0
    d = best_scale(ideal, weight, groups, scale_codes).scale
    found.d = to_half(d * found.unit)
    if half_to_float(found.d) != 0:
        d = fit_codes(y, w, codes, scale_codes, ideal, half_to_float(found.d) / found.unit, found)
        found.d = to_half(d * found.unit)
