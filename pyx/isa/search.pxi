# The search for scales: sixteen candidates at a time, one in each lane, so that a sum over the values of a group
# never crosses lanes. No fused multiply-add and no sum in another order: every instruction set finds the same bits.
#
# For given codes q the best scale is sum(w x q) / sum(w q q), and it takes sum(w x q)**2 / sum(w q q) off the
# error; for a given scale the best codes are the nearest ones. So a candidate scale is worth what its codes gain.
# (The idea of trying scales around the one that just fits is that of ggml-quants.c, llama.cpp.)

cdef enum:
    CANDIDATES = 16

cdef struct Codes:       # which numbers a code can stand for, and how far from the just fitting scale to look
    float low            # the lowest one and the highest
    float high
    float from_          # candidates lie between these, in units of codes at the widest one
    float to
    float widest         # the larger size of low and high
    float step           # from code to code, if they are those of scales; else 0
    int n_points         # 0: all whole numbers between; else there are so many points
    float between[15]    # the middle of two neighbours
    float apart[15]      # and how far they are apart

cdef struct Scale1:      # value = scale * code
    float scale
    float gain           # what it takes off the error

cdef struct Scale2:      # value = scale * code + minimum
    float scale
    float minimum
    float gain
    float qq             # sum(w q q): how much the error minds a change of scale


cdef Codes whole_codes(float low, float high, float from_, float to) noexcept:
    cdef Codes codes
    memset(&codes, 0, sizeof(Codes))
    codes.low, codes.high, codes.from_, codes.to, codes.widest = low, high, from_, to, max(high, -low)
    return codes


cdef inline vf rounded(vf y) noexcept nogil:
    """To the nearest whole number, ties to even, of |y| < 2**22."""
    return vf_near(y)


cdef inline vf nearest_code(vf y, const Codes* codes) noexcept nogil:
    cdef vf q
    cdef int k
    if codes.n_points == 0:
        return rounded(vf_min(vf_max(y, vf_set1(codes.low)), vf_set1(codes.high)))
    q = vf_set1(codes.low)
    for k in range(codes.n_points - 1):
        q = vf_add(q, vf_above(y, vf_set1(codes.between[k]), vf_set1(codes.apart[k])))
    return q


cdef inline void try_scales(const float* x, const float* w, int n, const Codes* codes, const float* inverse,
                            Scale1* best) noexcept nogil:
    """`best` becomes the best of itself and the sixteen scales 1 / inverse, each fitted to its codes."""
    cdef float gains[CANDIDATES]
    cdef float scales[CANDIDATES]
    cdef vf inv, q, wq, v, xq, qq
    cdef int c, j
    for c in range(CANDIDATES // LANES):
        inv, xq, qq = vf_load(inverse + c * LANES), vf_zero(), vf_zero()
        for j in range(n):
            v = vf_set1(x[j])
            q = nearest_code(vf_mul(v, inv), codes)
            wq = vf_mul(vf_set1(w[j]), q)
            xq = vf_add(xq, vf_mul(wq, v))
            qq = vf_add(qq, vf_mul(wq, q))
        v = vf_div(xq, vf_max(qq, vf_set1(<float>1e-30)))
        vf_store(scales + c * LANES, v)
        vf_store(gains + c * LANES, vf_mul(v, xq))
    for c in range(CANDIDATES):
        if gains[c] > best.gain:
            best.gain, best.scale = gains[c], scales[c]


cdef inline float just_fitting(float top, float bottom, const Codes* codes) noexcept nogil:
    """The largest 1 / scale at which no value of -bottom ... top meets the end of the codes; 0: there are no values."""
    cdef float up = codes.high / top if top > 0 else INFINITY
    cdef float down = -codes.low / bottom if bottom > 0 else INFINITY
    cdef float inverse = up if up < down else down
    return inverse if inverse < INFINITY else <float>0


cdef inline void spread(float first, float step, float* inverse, int n) noexcept nogil:
    cdef int c
    for c in range(n):
        inverse[c] = first + step * <float>c


cdef Scale1 best_scale(const float* x, const float* w, int n, const Codes* codes) noexcept nogil:
    """The scale for n values with importance w, of either sign if codes are; values must be of the order of one.

    Sixteen candidates (eight of each sign, where that makes a difference), and sixteen close to the best of them.
    """
    cdef Scale1 best = Scale1(0, 0)
    cdef float inverse[CANDIDATES]
    cdef float top = 0, bottom = 0, natural, step, first = 1 + codes.from_ / codes.widest
    cdef int half = CANDIDATES // 2
    ends(x, n, &top, &bottom)
    step = (codes.to - codes.from_) / codes.widest
    natural = just_fitting(top, bottom, codes)
    if codes.low == -codes.high or codes.low >= 0:
        step /= CANDIDATES - 1
        spread(natural * first, natural * step, inverse, CANDIDATES)
    else:
        step /= half - 1
        spread(natural * first, natural * step, inverse, half)
        natural = -just_fitting(bottom, top, codes)
        spread(natural * first, natural * step, inverse + half, half)
    try_scales(x, w, n, codes, inverse, &best)
    if n <= CANDIDATES and codes.step != 0:
        try_whole(x, w, n, codes, top, bottom, &best)
    if best.scale != 0:
        natural = 1 / best.scale
        spread(natural * (1 - step), natural * step / (half - <float>0.5), inverse, CANDIDATES)
        try_scales(x, w, n, codes, inverse, &best)
    return best


cdef inline void try_whole(const float* x, const float* w, int n, const Codes* codes, float top, float bottom,
                           Scale1* best) noexcept nogil:
    """Scales with which the largest value is one of the sixteen highest codes: scales that were stored once before come
    back as they were."""
    cdef float inverse[CANDIDATES]
    cdef float largest_one = top if top > bottom else -bottom
    if largest_one != 0:
        spread(codes.high / largest_one, -codes.step / largest_one, inverse, CANDIDATES)
        try_scales(x, w, n, codes, inverse, best)
        if codes.low < 0:
            spread(codes.low / largest_one, codes.step / largest_one, inverse, CANDIDATES)
            try_scales(x, w, n, codes, inverse, best)


cdef inline void ends(const float* x, int n, float* top, float* bottom) noexcept nogil:
    """The largest value and the largest of the negative ones, if any, with its sign turned."""
    cdef vf high = vf_zero(), low = vf_zero(), v
    cdef int j
    for j in range(n // LANES):
        v = vf_load(x + j * LANES)
        high, low = vf_max(high, v), vf_min(low, v)
    top[0], bottom[0] = vf_top(high), vf_top(vf_sub(vf_zero(), low))
    for j in range(n // LANES * LANES, n):
        top[0] = x[j] if x[j] > top[0] else top[0]
        bottom[0] = -x[j] if -x[j] > bottom[0] else bottom[0]
