# Rows of codes for unevenly spaced points (IQ4, the floating-point numbers of 4 bits) and of -1, 0, 1 (TQ).

from llama_gguf.engine.blocks cimport (
    block_iq4_nl, block_iq4_xs, block_mxfp4, block_nvfp4, block_tq1_0, block_tq2_0, e8m0_half, ue4m3_half,
)

cdef enum:
    HUGE_E8M0 = 252          # the largest exponent whose points are all finite in float32

cdef float[16] FP4_SORTED = [-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12, 0]
cdef uint8_t[16] FP4_CODE = [15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7, 0]
cdef float[16] IQ4_SORTED = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
cdef uint8_t[16] IQ4_CODE = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
cdef Codes CODES_IQ4 = point_codes(IQ4_SORTED, 16, -12, 32)
cdef Codes CODES_FP4 = point_codes(FP4_SORTED, 15, 0, 0)
cdef Codes CODES_TQ = whole_codes(-1, 1, 0, 0)


cdef Codes point_codes(const float* points, int n, float from_, float to) noexcept:
    cdef Codes codes = whole_codes(points[0], points[n - 1], from_, to)
    cdef int k
    codes.n_points = n
    for k in range(n - 1):
        codes.between[k] = (points[k] + points[k + 1]) / 2
        codes.apart[k] = points[k + 1] - points[k]
    return codes


cdef inline void nearest_points(const float* x, float inv, int n, const Codes* codes, const uint8_t* names,
                                uint8_t* q) noexcept nogil:
    """Names of the points nearest to n <= 32 values."""
    cdef uint8_t place[32]
    cdef int j, k
    memset(place, 0, 32)
    for k in range(codes.n_points - 1):
        for j in range(n):
            place[j] += x[j] * inv > codes.between[k]
    for j in range(n):
        q[j] = names[place[j]]


cdef inline void put_nibbles(const uint8_t* q, int half, uint8_t* qs) noexcept nogil:
    """Codes j and j + half to a byte."""
    cdef int j
    for j in range(half):
        qs[j] = q[j] | q[j + half] << 4


cdef void quantize_iq4_nl(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_iq4_nl* block = <block_iq4_nl*>row
    cdef uint8_t q[32]
    cdef Py_ssize_t b
    for b in range(n // 32):
        block[b].d = half_scale(x, w, 32, &CODES_IQ4)
        nearest_points(x, inverse_of(half_to_float(block[b].d)), 32, &CODES_IQ4, IQ4_CODE, q)
        put_nibbles(q, 16, block[b].qs)
        x += 32
        w += 32


cdef void quantize_iq4_xs(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_iq4_xs* block = <block_iq4_xs*>row
    cdef Grouped found
    cdef uint8_t q[32]
    cdef Py_ssize_t b
    cdef float d
    cdef int g
    for b in range(n // 256):
        fit_super(x, w, 8, &CODES_IQ4, &SIGNED_6, &found)
        block[b].d, block[b].scales_h = found.d, 0
        memset(block[b].scales_l, 0, 4)
        for g in range(8):
            block[b].scales_l[g >> 1] |= (found.l[g] + 32 & 15) << 4 * (g & 1)
            block[b].scales_h |= (found.l[g] + 32 >> 4) << 2 * g
            d = half_to_float(found.d) * <float>found.l[g]
            nearest_points(x + 32 * g, inverse_of(d), 32, &CODES_IQ4, IQ4_CODE, q)
            put_nibbles(q, 16, block[b].qs + 16 * g)
        x += 256
        w += 256


cdef void quantize_mxfp4(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    """The power of two is the best of sixteen around the one at which the largest value is just 4 to 8."""
    cdef block_mxfp4* block = <block_mxfp4*>row
    cdef float y[32]
    cdef uint8_t q[32]
    cdef float scales[CANDIDATES]
    cdef Tried tried
    cdef Py_ssize_t b
    cdef float unit
    cdef int c, first
    for b in range(n // 32):
        unit = tame(x, 32, y)
        first = max(0, min(HUGE_E8M0 + 1 - CANDIDATES, exponent_of(largest(x, 32)) + 125 - CANDIDATES // 2))
        for c in range(CANDIDATES):
            scales[c] = e8m0_half(<uint8_t>(first + c)) * inverse_of(unit)
        tried = try_fixed(y, w, 32, &CODES_FP4, scales)
        block[b].e = <uint8_t>(first + tried.place)
        nearest_points(y, inverse_of(scales[tried.place]), 32, &CODES_FP4, FP4_CODE, q)
        put_nibbles(q, 16, block[b].qs)
        x += 32
        w += 32


cdef void quantize_nvfp4(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    """The scale is the best of sixteen neighbours in its own number format."""
    cdef block_nvfp4* block = <block_nvfp4*>row
    cdef float y[16]
    cdef uint8_t q[16]
    cdef float scales[CANDIDATES]
    cdef Tried tried
    cdef Py_ssize_t g
    cdef float unit
    cdef int c, first
    for g in range(n // 16):
        unit = tame(x, 16, y)
        first = to_half(largest(x, 16) / 12 / 128) + 64 >> 7
        first = max(0, min(127 - CANDIDATES, first - CANDIDATES // 2))
        for c in range(CANDIDATES):
            scales[c] = ue4m3_half(<uint8_t>(first + c)) * inverse_of(unit)
        tried = try_fixed(y, w, 16, &CODES_FP4, scales)
        block[g >> 2].d[g & 3] = <uint8_t>(first + tried.place)
        nearest_points(y, inverse_of(scales[tried.place]), 16, &CODES_FP4, FP4_CODE, q)
        put_nibbles(q, 8, block[g >> 2].qs + 8 * (g & 3))
        x += 16
        w += 16


cdef uint16_t ternary_scale(const float* x, const float* w, uint8_t* q) noexcept nogil:
    """Scale for 256 codes, and q = code + 1. Far from the largest value: most values are much smaller."""
    cdef float y[256]
    cdef float inverse[CANDIDATES]
    cdef float unit = tame(x, 256, y), middle, inv
    cdef Scale1 best = Scale1(0, 0)
    cdef uint16_t d
    cdef int c, j, turn
    if unit != 0:
        middle = 4 / largest(y, 256)
        for turn in range(3):           # factors of 1/4 ... 3.4, of 0.8 ... 1.2, of 0.97 ... 1.03
            for c in range(CANDIDATES):
                inverse[c] = middle * ternary_factor(turn, c)
            try_scales(y, w, 256, &CODES_TQ, inverse, &best)
            middle = 1 / best.scale
    d = to_half(best.scale * unit)
    inv = inverse_of(half_to_float(d))
    for j in range(256):
        q[j] = <uint8_t>(code_near(x[j] * inv, -1, 1) + 1)
    return d


cdef inline float ternary_factor(int turn, int c) noexcept nogil:
    if turn == 0:
        return <float>(4 + (c & 3)) / 4 * power((c >> 2) - 2)
    return 1 + <float>(c - 8) * (<float>0.025 if turn == 1 else <float>0.004)


cdef void quantize_tq1_0(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_tq1_0* block = <block_tq1_0*>row
    cdef uint8_t q[256]
    cdef Py_ssize_t b
    cdef int j
    for b in range(n // 256):
        block[b].d = ternary_scale(x, w, q)
        for j in range(32):
            block[b].qs[j] = five_digits(q + j, 32, 5)
        for j in range(16):
            block[b].qs[32 + j] = five_digits(q + 160 + j, 16, 5)
        for j in range(4):
            block[b].qh[j] = five_digits(q + 240 + j, 4, 4)
        x += 256
        w += 256


cdef inline uint8_t five_digits(const uint8_t* q, int step, int n) noexcept nogil:
    """n base-3 digits, the first one highest (missing ones zero), as a fraction of 243 scaled to 256, rounded up."""
    cdef int k, number = 0
    for k in range(5):
        number = 3 * number + (q[step * k] if k < n else 0)
    return <uint8_t>((number * 256 + 242) // 243)


cdef void quantize_tq2_0(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_tq2_0* block = <block_tq2_0*>row
    cdef uint8_t q[256]
    cdef Py_ssize_t b
    for b in range(n // 256):
        block[b].d = ternary_scale(x, w, q)
        put_two_bits(q, block[b].qs)
        x += 256
        w += 256
