# Rows of super-blocks whose groups have scales (and minimums) of their own: Q2_K to Q6_K.

from llama_gguf.engine.blocks cimport SUPER, block_q2_K, block_q3_K, block_q4_K, block_q5_K, block_q6_K

cdef Codes CODES_Q2_K = whole_codes(0, 3, -0.9, 1.5)
cdef Codes CODES_Q3_K = whole_codes(-4, 3, -1, 2.5)
cdef Tries TRIES_Q3_K = tries(4, 6, -1, 2.5, 0.2, True)
cdef Codes CODES_Q6_K = whole_codes(-32, 31, -1, 2.5)
cdef Codes SCALES_4 = scale_codes(0, 15, -0.9, 0.9, 1)
cdef Codes SCALES_6 = scale_codes(0, 63, -0.9, 0.9, 1)
cdef Codes SIGNED_6 = scale_codes(-32, 31, -0.9, 0.9, 1)
cdef Codes SIGNED_8 = scale_codes(-128, 127, -0.9, 0.9, 1)


cdef Codes scale_codes(float low, float high, float from_, float to, float step) noexcept:
    cdef Codes codes = whole_codes(low, high, from_, to)
    codes.step = step
    return codes


cdef inline void codes_of(const float* x, const Grouped* found, int low, int high, uint8_t* q) noexcept nogil:
    """q = nearest code - low for 256 values."""
    cdef float d = half_to_float(found.d), dmin = half_to_float(found.dmin), inv, m
    cdef int g, j
    for g in range(found.groups):
        inv, m = inverse_of(d * <float>found.l[g]), dmin * <float>found.m[g]
        for j in range(g * found.size, (g + 1) * found.size):
            q[j] = <uint8_t>(code_near((x[j] + m) * inv, low, high) - low)


cdef inline void put_two_bits(const uint8_t* q, uint8_t* qs) noexcept nogil:
    """The lowest two bits of 256 codes: four times 32 in 32 bytes, twice."""
    cdef int h, j
    for h in range(2):
        for j in range(32):
            qs[32 * h + j] = (q[128 * h + j] & 3 | (q[128 * h + j + 32] & 3) << 2
                              | (q[128 * h + j + 64] & 3) << 4 | (q[128 * h + j + 96] & 3) << 6)


cdef inline void put_four_bits(const uint8_t* q, uint8_t* qs) noexcept nogil:
    """The lowest four bits of 256 codes: two times 32 in 32 bytes, four times."""
    cdef int h, j
    for h in range(4):
        for j in range(32):
            qs[32 * h + j] = q[64 * h + j] & 15 | (q[64 * h + j + 32] & 15) << 4


cdef void quantize_q2_k(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_q2_K* block = <block_q2_K*>row
    cdef Grouped found
    cdef uint8_t q[SUPER]
    cdef Py_ssize_t b
    cdef int g
    for b in range(n // SUPER):
        fit_super_pairs(x, w, 16, &CODES_Q2_K, &SCALES_4, &found)
        codes_of(x, &found, 0, 3, q)
        block[b].d, block[b].dmin = found.d, found.dmin
        for g in range(16):
            block[b].scales[g] = <uint8_t>(found.l[g] | found.m[g] << 4)
        put_two_bits(q, block[b].qs)
        x += SUPER
        w += SUPER


cdef void quantize_q3_k(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_q3_K* block = <block_q3_K*>row
    cdef Grouped found
    cdef uint8_t q[SUPER]
    cdef Py_ssize_t b
    cdef int g, j
    for b in range(n // SUPER):
        fit_sixteen(x, w, &CODES_Q3_K, &TRIES_Q3_K, &SIGNED_6, &found)
        codes_of(x, &found, -4, 3, q)
        block[b].d = found.d
        memset(block[b].scales, 0, 12)
        memset(block[b].hmask, 0, 32)
        for g in range(16):
            block[b].scales[g & 7] |= (found.l[g] + 32 & 15) << 4 * (g >> 3)
            block[b].scales[8 + (g & 3)] |= (found.l[g] + 32 >> 4) << 2 * (g >> 2)
        put_two_bits(q, block[b].qs)
        for j in range(SUPER):
            block[b].hmask[j & 31] |= q[j] >> 2 << (j >> 5)
        x += SUPER
        w += SUPER


cdef inline void put_six_bits(const Grouped* found, uint8_t* scales) noexcept nogil:
    """Eight scales and eight minimums of six bits in twelve bytes."""
    cdef int g
    for g in range(4):
        scales[g] = <uint8_t>(found.l[g] | found.l[g + 4] >> 4 << 6)
        scales[g + 4] = <uint8_t>(found.m[g] | found.m[g + 4] >> 4 << 6)
        scales[g + 8] = <uint8_t>(found.l[g + 4] & 15 | (found.m[g + 4] & 15) << 4)


cdef void quantize_q4_k(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_q4_K* block = <block_q4_K*>row
    cdef Grouped found
    cdef uint8_t q[SUPER]
    cdef Py_ssize_t b
    for b in range(n // SUPER):
        fit_super_pairs(x, w, 8, &CODES_Q4_1, &SCALES_6, &found)
        codes_of(x, &found, 0, 15, q)
        block[b].d, block[b].dmin = found.d, found.dmin
        put_six_bits(&found, block[b].scales)
        put_four_bits(q, block[b].qs)
        x += SUPER
        w += SUPER


cdef void quantize_q5_k(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_q5_K* block = <block_q5_K*>row
    cdef Grouped found
    cdef uint8_t q[SUPER]
    cdef Py_ssize_t b
    cdef int j
    for b in range(n // SUPER):
        fit_super_pairs(x, w, 8, &CODES_Q5_1, &SCALES_6, &found)
        codes_of(x, &found, 0, 31, q)
        block[b].d, block[b].dmin = found.d, found.dmin
        put_six_bits(&found, block[b].scales)
        put_four_bits(q, block[b].qs)
        memset(block[b].qh, 0, 32)
        for j in range(SUPER):
            block[b].qh[j & 31] |= q[j] >> 4 << (j >> 5)
        x += SUPER
        w += SUPER


cdef void quantize_q6_k(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_q6_K* block = <block_q6_K*>row
    cdef Grouped found
    cdef uint8_t q[SUPER]
    cdef Py_ssize_t b
    cdef int h, j
    for b in range(n // SUPER):
        fit_super(x, w, 16, &CODES_Q6_K, &SIGNED_8, &found)
        codes_of(x, &found, -32, 31, q)
        block[b].d = found.d
        memcpy(block[b].scales, found.l, 16)
        for h in range(2):
            for j in range(64):
                block[b].ql[64 * h + j] = q[128 * h + j] & 15 | (q[128 * h + j + 64] & 15) << 4
            for j in range(32):
                block[b].qh[32 * h + j] = (q[128 * h + j] >> 4 | q[128 * h + j + 32] >> 4 << 2
                                           | q[128 * h + j + 64] >> 4 << 4 | q[128 * h + j + 96] >> 4 << 6)
        x += SUPER
        w += SUPER
