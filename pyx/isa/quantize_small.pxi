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
cdef Tries TRIES_TQ = tries(1, 5, 0, 4, 0, False)      # most values are much smaller than the largest


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


cdef inline void fp4_codes(const float* x, float p, float inv, uint8_t* q) noexcept nogil:
    """Codes of the points nearest to 32 values times p (a power of two) times inv."""
    cdef float a
    cdef int j, size
    for j in range(32):
        a = fabsf(x[j] * p * inv)
        size = (a > <float>0.5) + (a > <float>1.5) + (a > <float>2.5) + (a > <float>3.5) + (a > 5) + (a > 7) + (a > 10)
        q[j] = <uint8_t>(size | ((x[j] < 0) & (size > 0)) << 3)


cdef void quantize_mxfp4(const float* x, const float* w, Py_ssize_t n, Py_ssize_t total, void* rows) noexcept nogil:
    """The power of two is the best of three: with the largest value just 4 to 8, or half, or twice that."""
    cdef block_mxfp4* block = <block_mxfp4*>rows
    cdef Batch t
    cdef uint8_t q[32]
    cdef Py_ssize_t first = 0
    cdef float p
    cdef int b, m, e
    t.n, t.plain = 32, w == NULL
    while first < total:
        m = take_batch(x, w, n, first, total, &t)
        tame_batch(&t)
        if t.plain:
            best_powers_of_batch(&t, 32, True)
        else:
            best_powers_of_batch(&t, 32, False)
        for b in range(m):
            e = exponent_of(t.unit[b]) + exponent_of(t.scale[b]) + 128
            block.e = <uint8_t>max(0, min(HUGE_E8M0, e)) if t.unit[b] != 0 else 0
            p = inverse_of(t.unit[b])
            fp4_codes(x + first, p, inverse_of(e8m0_half(block.e) * p), q)
            put_nibbles(q, 16, block.qs)
            first += 32
            block += 1


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


cdef inline void ternary_codes(const float* x, uint16_t d, uint8_t* q) noexcept nogil:
    """q = code + 1 of 256 values."""
    cdef float inv = inverse_of(half_to_float(d))
    cdef int j
    for j in range(256):
        q[j] = <uint8_t>(code_near(x[j] * inv, -1, 1) + 1)


cdef void quantize_tq1_0(const float* x, const float* w, Py_ssize_t n, Py_ssize_t total, void* rows) noexcept nogil:
    cdef block_tq1_0* block = <block_tq1_0*>rows
    cdef uint16_t d[BATCH]
    cdef uint8_t q[256]
    cdef Py_ssize_t first = 0
    cdef int b, j
    while first < total:
        for b in range(half_scales(x, w, n, first, total, 256, &CODES_TQ, &TRIES_TQ, d)):
            block.d = d[b]
            ternary_codes(x + first, d[b], q)
            for j in range(32):
                block.qs[j] = five_digits(q + j, 32, 5)
            for j in range(16):
                block.qs[32 + j] = five_digits(q + 160 + j, 16, 5)
            for j in range(4):
                block.qh[j] = five_digits(q + 240 + j, 4, 4)
            first += 256
            block += 1


cdef inline uint8_t five_digits(const uint8_t* q, int step, int n) noexcept nogil:
    """n base-3 digits, the first one highest (missing ones zero), as a fraction of 243 scaled to 256, rounded up."""
    cdef int k, number = 0
    for k in range(5):
        number = 3 * number + (q[step * k] if k < n else 0)
    return <uint8_t>((number * 256 + 242) // 243)


cdef void quantize_tq2_0(const float* x, const float* w, Py_ssize_t n, Py_ssize_t total, void* rows) noexcept nogil:
    cdef block_tq2_0* block = <block_tq2_0*>rows
    cdef uint16_t d[BATCH]
    cdef uint8_t q[256]
    cdef Py_ssize_t first = 0
    cdef int b
    while first < total:
        for b in range(half_scales(x, w, n, first, total, 256, &CODES_TQ, &TRIES_TQ, d)):
            block.d = d[b]
            ternary_codes(x + first, d[b], q)
            put_two_bits(q, block.qs)
            first += 256
            block += 1
