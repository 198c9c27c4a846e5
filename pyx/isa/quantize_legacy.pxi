# Rows of blocks of 32 (64, 128) values with one scale, or one for sixteen.

from llama_gguf.engine.blocks cimport (
    block_q1_0, block_q2_0, block_q4_0, block_q4_1, block_q5_0, block_q5_1, block_q8_0, half_to_float,
)

cdef Codes CODES_Q4_0 = whole_codes(-8, 7, -1, 2.5)
cdef Codes CODES_Q5_0 = whole_codes(-16, 15, -1, 2.5)
cdef Codes CODES_Q8_0 = whole_codes(-127, 127, -0.7, 0.8)
cdef Codes CODES_Q2_0 = whole_codes(-1, 2, -0.5, 2.5)
cdef Tries TRIES_Q4_0 = tries(8, 6, -1, 2.5, 0.2, True)
cdef Tries TRIES_Q5_0 = tries(16, 6, -1, 2.5, 0.2, True)
cdef Tries TRIES_Q8_0 = tries(127, 6, -0.7, 0.8, 0.08, False)
cdef Tries TRIES_Q2_0 = tries(2, 8, -0.5, 2.5, 0.1, True)
cdef Codes CODES_Q4_1 = whole_codes(0, 15, -1.2, 2.1)
cdef Codes CODES_Q5_1 = whole_codes(0, 31, -1, 2.2)


cdef void quantize_f32(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    memcpy(row, x, n * sizeof(float))


cdef void quantize_f16(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef uint16_t half
    cdef Py_ssize_t j
    for j in range(n):
        half = to_half(x[j])
        memcpy(<char*>row + 2 * j, &half, 2)


cdef void quantize_bf16(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef uint16_t bfloat
    cdef Py_ssize_t j
    for j in range(n):
        bfloat = to_bfloat(x[j])
        memcpy(<char*>row + 2 * j, &bfloat, 2)


cdef inline uint16_t half_scale(const float* x, const float* w, int n, const Codes* codes) noexcept nogil:
    cdef float y[64]
    cdef float unit = tame(x, n, y)
    return to_half(unit * best_scale(y, w, n, codes).scale) if unit != 0 else 0


cdef void quantize_q4_0(const float* x, const float* w, Py_ssize_t n, Py_ssize_t total, void* rows) noexcept nogil:
    cdef block_q4_0* block = <block_q4_0*>rows
    cdef uint16_t d[BATCH]
    cdef Py_ssize_t first = 0
    cdef float inv
    cdef int b, j
    while first < total:
        for b in range(half_scales(x, w, n, first, total, 32, &CODES_Q4_0, &TRIES_Q4_0, d)):
            block.d = d[b]
            inv = inverse_of(half_to_float(block.d))
            for j in range(16):
                block.qs[j] = <uint8_t>(code_near(x[first + j] * inv, -8, 7) + 8
                                        | code_near(x[first + j + 16] * inv, -8, 7) + 8 << 4)
            first += 32
            block += 1


cdef void quantize_q5_0(const float* x, const float* w, Py_ssize_t n, Py_ssize_t total, void* rows) noexcept nogil:
    cdef block_q5_0* block = <block_q5_0*>rows
    cdef uint16_t d[BATCH]
    cdef uint8_t q[32]
    cdef Py_ssize_t first = 0
    cdef float inv
    cdef int b, j
    while first < total:
        for b in range(half_scales(x, w, n, first, total, 32, &CODES_Q5_0, &TRIES_Q5_0, d)):
            block.d = d[b]
            inv = inverse_of(half_to_float(block.d))
            for j in range(32):
                q[j] = <uint8_t>(code_near(x[first + j] * inv, -16, 15) + 16)
            block.qh = put_five_bits(q, block.qs)
            first += 32
            block += 1


cdef inline uint32_t put_five_bits(const uint8_t* q, uint8_t* low) noexcept nogil:
    """Two lower halves of codes to a byte; returns the fifth bits."""
    cdef uint32_t high = 0
    cdef int j
    for j in range(16):
        low[j] = q[j] & 15 | (q[j + 16] & 15) << 4
    for j in range(32):
        high |= <uint32_t>(q[j] >> 4) << j
    return high


cdef void quantize_q8_0(const float* x, const float* w, Py_ssize_t n, Py_ssize_t total, void* rows) noexcept nogil:
    cdef block_q8_0* block = <block_q8_0*>rows
    cdef uint16_t d[BATCH]
    cdef Py_ssize_t first = 0
    cdef float inv
    cdef int b, j
    while first < total:
        for b in range(half_scales(x, w, n, first, total, 32, &CODES_Q8_0, &TRIES_Q8_0, d)):
            block.d = d[b]
            inv = inverse_of(half_to_float(block.d))
            for j in range(32):
                block.qs[j] = <int8_t>code_near(x[first + j] * inv, -127, 127)
            first += 32
            block += 1


cdef void quantize_q2_0(const float* x, const float* w, Py_ssize_t n, Py_ssize_t total, void* rows) noexcept nogil:
    cdef block_q2_0* block = <block_q2_0*>rows
    cdef uint16_t d[BATCH]
    cdef Py_ssize_t first = 0
    cdef float inv
    cdef int b, j, k, byte
    while first < total:
        for b in range(half_scales(x, w, n, first, total, 64, &CODES_Q2_0, &TRIES_Q2_0, d)):
            block.d = d[b]
            inv = inverse_of(half_to_float(block.d))
            for j in range(16):
                byte = 0
                for k in range(4):
                    byte |= code_near(x[first + 4 * j + k] * inv, -1, 2) + 1 << 2 * k
                block.qs[j] = <uint8_t>byte
            first += 64
            block += 1


cdef void quantize_q1_0(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    """With signs for codes the weighted mean size is the best scale."""
    cdef block_q1_0* block = <block_q1_0*>row
    cdef Py_ssize_t b
    cdef double size, weight
    cdef int j, k, byte
    for b in range(n // 128):
        size = weight = 0
        for j in range(16):
            byte = 0
            for k in range(8 * j, 8 * j + 8):
                size += <double>w[k] * fabsf(x[k])
                weight += w[k]
                byte |= (x[k] >= 0) << k - 8 * j
            block[b].qs[j] = <uint8_t>byte
        block[b].d = to_half(<float>(size / weight))
        x += 128
        w += 128


cdef inline Scale2 half_pair(const float* x, const float* w, const Codes* codes) noexcept nogil:
    """Scale and minimum for 32 values. The search works around their middle, where sums lose nothing."""
    cdef float y[32]
    cdef float low = x[0], high = x[0], middle, unit
    cdef Scale2 found
    cdef int j
    for j in range(32):
        low, high = min(low, x[j]), max(high, x[j])
    found = stored_before(x, low, high, <int>codes.high)
    if found.scale != 0:
        return found
    middle = low / 2 + high / 2
    for j in range(32):
        y[j] = x[j] - middle
    unit = tame(y, 32, y)
    if unit == 0:
        return Scale2(0, middle, 0, 0)
    found = best_pair(y, w, 32, codes, False)
    if on_grid(y, codes.high, &found):
        settle(y, w, codes.high, &found)
    return Scale2(found.scale * unit, found.minimum * unit + middle, 0, 0)


cdef inline Scale2 stored_before(const float* x, float low, float high, int most) noexcept nogil:
    """The halves whose codes all values are, as after an earlier quantization, using all but two codes; or zeros."""
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


cdef inline bint on_grid(const float* x, float high, const Scale2* found) noexcept nogil:
    """Are the first values where codes are, as after an earlier quantization?"""
    cdef float off, inv = inverse_of(found.scale)
    cdef int j
    for j in range(4):
        off = (x[j] - found.minimum) * inv
        if fabsf(off - <float>code_near(off, 0, <int>high)) > <float>1e-3:
            return False
    return True


cdef void settle(const float* x, const float* w, float high, Scale2* found) noexcept nogil:
    """The least squares once more in double precision: so values on a grid come back exactly."""
    cdef double ww = 0, wx = 0, wq = 0, xq = 0, qq = 0, det
    cdef float inv = inverse_of(found.scale), q
    cdef int j
    for j in range(32):
        q = <float>code_near((x[j] - found.minimum) * inv, 0, <int>high)
        ww += w[j]
        wx += <double>w[j] * x[j]
        wq += <double>w[j] * q
        xq += <double>w[j] * x[j] * q
        qq += <double>w[j] * q * q
    det = ww * qq - wq * wq
    if det > 1e-9 * ww * qq:
        found.scale, found.minimum = <float>((ww * xq - wx * wq) / det), <float>((qq * wx - wq * xq) / det)


cdef void quantize_q4_1(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_q4_1* block = <block_q4_1*>row
    cdef Py_ssize_t b
    cdef Scale2 found
    cdef float inv, m
    cdef int j
    for b in range(n // 32):
        found = half_pair(x, w, &CODES_Q4_1)
        block[b].d, block[b].m = to_half(found.scale), to_half(found.minimum)
        inv, m = inverse_of(half_to_float(block[b].d)), half_to_float(block[b].m)
        for j in range(16):
            block[b].qs[j] = <uint8_t>(code_near((x[j] - m) * inv, 0, 15)
                                       | code_near((x[j + 16] - m) * inv, 0, 15) << 4)
        x += 32
        w += 32


cdef void quantize_q5_1(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_q5_1* block = <block_q5_1*>row
    cdef Py_ssize_t b
    cdef uint8_t q[32]
    cdef Scale2 found
    cdef float inv, m
    cdef int j
    for b in range(n // 32):
        found = half_pair(x, w, &CODES_Q5_1)
        block[b].d, block[b].m = to_half(found.scale), to_half(found.minimum)
        inv, m = inverse_of(half_to_float(block[b].d)), half_to_float(block[b].m)
        for j in range(32):
            q[j] = <uint8_t>code_near((x[j] - m) * inv, 0, 31)
        block[b].qh = put_five_bits(q, block[b].qs)
        x += 32
        w += 32
