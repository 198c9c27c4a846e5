# Super-blocks whose groups have a scale and a minimum: value = d * l * code - dmin * m.

cdef struct Pair:        # what sixteen pairs of codes came to
    float gain
    int l
    int m
    float xq
    float qq
    float q


cdef void try_code_pairs(const float* x, const float* w, int n, const Sums* sums, float high, float d, float dmin,
                         const int* ls, const int* ms, Pair* best) noexcept nogil:
    """`best` becomes the best of itself and sixteen pairs of codes."""
    cdef float gains[CANDIDATES]
    cdef float scales[CANDIDATES]
    cdef float inverse[CANDIDATES]
    cdef float minimum[CANDIDATES]
    cdef float sums_xq[CANDIDATES]
    cdef float sums_qq[CANDIDATES]
    cdef float sums_q[CANDIDATES]
    cdef vf zero = vf_zero(), top = vf_set1(high), inv, least, q, wq, v, xq, qq, sq
    cdef int c, j
    for c in range(CANDIDATES):
        scales[c], minimum[c] = d * <float>ls[c], dmin * <float>ms[c]
        inverse[c] = inverse_of(scales[c])
    for c in range(CANDIDATES // LANES):
        inv, least = vf_load(inverse + c * LANES), vf_load(minimum + c * LANES)
        xq, qq, sq = zero, zero, zero
        for j in range(n):
            v = vf_set1(x[j])
            q = rounded(vf_min(vf_max(vf_mul(vf_add(v, least), inv), zero), top))
            wq = vf_mul(vf_set1(w[j]), q)
            xq = vf_add(xq, vf_mul(wq, v))
            qq = vf_add(qq, vf_mul(wq, q))
            sq = vf_add(sq, wq)
        vf_store(sums_xq + c * LANES, xq)
        vf_store(sums_qq + c * LANES, qq)
        vf_store(sums_q + c * LANES, sq)
        v = vf_load(scales + c * LANES)
        xq = vf_mul(v, vf_sub(vf_add(xq, xq), vf_mul(v, qq)))       # 2 s xq - s s qq
        v = vf_sub(vf_mul(vf_add(v, v), sq), vf_set1(2 * sums.x))   # 2 s q - 2 x
        v = vf_sub(v, vf_mul(least, vf_set1(sums.w)))
        vf_store(gains + c * LANES, vf_add(xq, vf_mul(least, v)))
    for c in range(CANDIDATES):
        if gains[c] > best.gain:
            best[0] = Pair(gains[c], ls[c], ms[c], sums_xq[c], sums_qq[c], sums_q[c])


cdef inline void code_pairs_from(int l, int m, int high, int* ls, int* ms) noexcept nogil:
    """The four codes from l on, with the four from m on, within 0 ... high."""
    cdef int c
    for c in range(CANDIDATES):
        ls[c], ms[c] = max(0, min(high, l + (c & 3))), max(0, min(high, m + (c >> 2)))


cdef struct Normal:      # sums of the least squares for d and dmin
    double ll
    double lm
    double mm
    double lx
    double mx


cdef void fit_code_pairs(const float* x, const float* w, float high, int top, const Scale2* ideal, Grouped* found,
                         float* d, float* dmin) noexcept nogil:
    """Codes of all groups for d and dmin, which become those that these codes want."""
    cdef int ls[CANDIDATES]
    cdef int ms[CANDIDATES]
    cdef int g, l, m
    cdef Sums sums
    cdef Pair best
    cdef Normal normal = Normal(0, 0, 0, 0, 0)
    for g in range(found.groups):
        sums = sums_of(x + g * found.size, w + g * found.size, found.size)
        best = Pair(-INFINITY, 0, 0, 0, 0, 0)
        l = <int>min(<float>1000, ideal[g].scale * inverse_of(d[0]))
        m = <int>min(<float>1000, max(<float>-1000, -ideal[g].minimum * inverse_of(dmin[0])))
        code_pairs_from(min(l, top) - 1, min(m, top) - 1, top, ls, ms)
        try_code_pairs(x + g * found.size, w + g * found.size, found.size, &sums, high, d[0], dmin[0], ls, ms, &best)
        found.l[g], found.m[g] = <int8_t>best.l, <int8_t>best.m
        normal.ll += <double>(best.l * best.l) * best.qq
        normal.lm += <double>(best.l * best.m) * best.q
        normal.mm += <double>(best.m * best.m) * sums.w
        normal.lx += <double>best.l * best.xq
        normal.mx += <double>best.m * sums.x
    solve(&normal, d, dmin)


cdef inline double gain_of(const Normal* s, double d, double dmin) noexcept nogil:
    return 2 * (d * s.lx - dmin * s.mx) - (d * d * s.ll - 2 * d * dmin * s.lm + dmin * dmin * s.mm)


cdef inline void solve(const Normal* s, float* d, float* dmin) noexcept nogil:
    """The best d and dmin, unless these sums cannot tell."""
    cdef double det = s.ll * s.mm - s.lm * s.lm, new_d = d[0], new_dmin = dmin[0]
    if det > SHARP * s.ll * s.mm:
        new_d, new_dmin = (s.lx * s.mm - s.mx * s.lm) / det, (s.lx * s.lm - s.mx * s.ll) / det
    elif s.ll > 0:
        new_d = (s.lx + new_dmin * s.lm) / s.ll
    if gain_of(s, new_d, new_dmin) > gain_of(s, d[0], dmin[0]):
        d[0], dmin[0] = <float>new_d, <float>new_dmin


cdef void fit_super_pairs(const float* x, const float* w, int groups, const Codes* codes, const Codes* scale_codes,
                          Grouped* found) noexcept nogil:
    cdef float y[256]
    cdef Scale2 ideal[16]
    cdef float part[16]
    cdef float weight[16]
    cdef float d, dmin
    cdef int g, j, turn
    memset(found, 0, sizeof(Grouped))
    found.groups, found.size = groups, 256 // groups
    found.unit = tame(x, 256, y)
    if found.unit == 0:
        return
    for g in range(groups):
        ideal[g] = best_pair(y + g * found.size, w + g * found.size, found.size, codes)
        part[g], weight[g] = ideal[g].scale, ideal[g].qq
    d = best_scale(part, weight, groups, scale_codes).scale
    for g in range(groups):
        part[g], weight[g] = -ideal[g].minimum, 0
        for j in range(g * found.size, (g + 1) * found.size):
            weight[g] += w[j]
    dmin = best_scale(part, weight, groups, scale_codes).scale
    for turn in range(2):
        found.d, found.dmin = to_half(d * found.unit), to_half(dmin * found.unit)
        d, dmin = half_to_float(found.d) / found.unit, half_to_float(found.dmin) / found.unit
        fit_code_pairs(y, w, codes.high, <int>scale_codes.high, ideal, found, &d, &dmin)
    found.d, found.dmin = to_half(d * found.unit), to_half(dmin * found.unit)
