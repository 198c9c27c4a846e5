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
    codes.low, codes.high, codes.from_, codes.to = low, high, from_, to
    return codes


cdef inline vf nearest_code(vf y, const Codes* codes) noexcept nogil:
    cdef vf q
    cdef int k
    if codes.n_points == 0:
        return vf_round(vf_min(vf_max(y, vf_set1(codes.low)), vf_set1(codes.high)))
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


cdef inline void spread(float first, float step, float* inverse) noexcept nogil:
    cdef int c
    for c in range(CANDIDATES):
        inverse[c] = first + step * <float>c


cdef Scale1 best_scale(const float* x, const float* w, int n, const Codes* codes) noexcept nogil:
    """The scale of either sign for n values with importance w; values must be of the order of one."""
    cdef Scale1 best = Scale1(0, 0)
    cdef float inverse[CANDIDATES]
    cdef float top = 0, bottom = 0, natural, step, widest = max(codes.high, -codes.low)
    cdef int j
    for j in range(n):
        top = x[j] if x[j] > top else top
        bottom = -x[j] if -x[j] > bottom else bottom
    step = (codes.to - codes.from_) / (widest * (CANDIDATES - 1))
    natural = just_fitting(top, bottom, codes)
    spread(natural * (1 + codes.from_ / widest), natural * step, inverse)
    try_scales(x, w, n, codes, inverse, &best)
    if codes.low != -codes.high and codes.low != 0:
        natural = -just_fitting(bottom, top, codes)
        spread(natural * (1 + codes.from_ / widest), natural * step, inverse)
        try_scales(x, w, n, codes, inverse, &best)
    if best.scale != 0:
        natural = 1 / best.scale
        spread(natural * (1 - step), natural * step / <float>7.5, inverse)
        try_scales(x, w, n, codes, inverse, &best)
    return best
