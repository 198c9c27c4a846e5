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


cdef void quantize_q4_1(const float* x, const float* w, Py_ssize_t n, Py_ssize_t total, void* rows) noexcept nogil:
    cdef block_q4_1* block = <block_q4_1*>rows
    cdef Scale2 found[BATCH]
    cdef Py_ssize_t first = 0
    cdef float inv, m
    cdef int b, j
    while first < total:
        for b in range(half_pairs(x, w, n, first, total, 15, found)):
            block.d, block.m = to_half(found[b].scale), to_half(found[b].minimum)
            inv, m = inverse_of(half_to_float(block.d)), half_to_float(block.m)
            for j in range(16):
                block.qs[j] = <uint8_t>(code_near((x[first + j] - m) * inv, 0, 15)
                                        | code_near((x[first + j + 16] - m) * inv, 0, 15) << 4)
            first += 32
            block += 1


cdef void quantize_q5_1(const float* x, const float* w, Py_ssize_t n, Py_ssize_t total, void* rows) noexcept nogil:
    cdef block_q5_1* block = <block_q5_1*>rows
    cdef uint8_t q[32]
    cdef Scale2 found[BATCH]
    cdef Py_ssize_t first = 0
    cdef float inv, m
    cdef int b, j
    while first < total:
        for b in range(half_pairs(x, w, n, first, total, 31, found)):
            block.d, block.m = to_half(found[b].scale), to_half(found[b].minimum)
            inv, m = inverse_of(half_to_float(block.d)), half_to_float(block.m)
            for j in range(32):
                q[j] = <uint8_t>code_near((x[first + j] - m) * inv, 0, 31)
            block.qh = put_five_bits(q, block.qs)
            first += 32
            block += 1
