# Rows of super-blocks: 256 values in 8 or 16 groups, the groups' scales themselves quantized.
# Bytes interleave the groups: 32 bytes hold value j of group 0 (or of both its halves) in their
# lowest bits, of the next group in the next ones, and so on. Codes are taken eight at a time.

from libc.stdint cimport uint8_t, uint64_t

from llama_gguf.engine.blocks cimport (
    SUPER, block_q2_K, block_q3_K, block_q4_K, block_q5_K, block_q6_K, block_q8_K, block_tq1_0,
    block_tq2_0, half_to_float, k3_scale, k4_minimum, k4_scale,
)


cdef void dequantize_q2_k(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q2_K* block = <const block_q2_K*>row
    cdef const uint8_t* qs
    cdef Py_ssize_t b
    cdef float d, m
    cdef int g, j
    for b in range(n // SUPER):
        for g in range(16):
            d = half_to_float(block[b].d) * <float>(block[b].scales[g] & 15)
            m = half_to_float(block[b].dmin) * <float>(block[b].scales[g] >> 4)
            qs = block[b].qs + 32 * (g >> 3) + 16 * (g & 1)
            for j in range(0, 16, 8):
                put8_above(out, d, load8(qs + j) >> (g & 6) & BITS2, -m)
                out += 8


cdef void dequantize_q3_k(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q3_K* block = <const block_q3_K*>row
    cdef const uint8_t* qs
    cdef const uint8_t* mask
    cdef Py_ssize_t b
    cdef uint64_t low, high
    cdef float d
    cdef int g, j
    for b in range(n // SUPER):
        for g in range(16):
            d = half_to_float(block[b].d) * <float>k3_scale(block[b].scales, g)
            qs = block[b].qs + 32 * (g >> 3) + 16 * (g & 1)
            mask = block[b].hmask + 16 * (g & 1)
            for j in range(0, 16, 8):
                low = load8(qs + j) >> (g & 6) & BITS2
                high = load8(mask + j) >> (g >> 1) & BITS1
                put8(out, d, low | high << 2, -4)
                out += 8


cdef void dequantize_q4_k(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q4_K* block = <const block_q4_K*>row
    cdef const uint8_t* qs
    cdef Py_ssize_t b
    cdef float d, m
    cdef int g, j
    for b in range(n // SUPER):
        for g in range(8):
            d = half_to_float(block[b].d) * <float>k4_scale(block[b].scales, g)
            m = half_to_float(block[b].dmin) * <float>k4_minimum(block[b].scales, g)
            qs = block[b].qs + 32 * (g >> 1)
            for j in range(0, 32, 8):
                put8_above(out, d, load8(qs + j) >> 4 * (g & 1) & BITS4, -m)
                out += 8


cdef void dequantize_q5_k(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q5_K* block = <const block_q5_K*>row
    cdef const uint8_t* qs
    cdef Py_ssize_t b
    cdef uint64_t low, high
    cdef float d, m
    cdef int g, j
    for b in range(n // SUPER):
        for g in range(8):
            d = half_to_float(block[b].d) * <float>k4_scale(block[b].scales, g)
            m = half_to_float(block[b].dmin) * <float>k4_minimum(block[b].scales, g)
            qs = block[b].qs + 32 * (g >> 1)
            for j in range(0, 32, 8):
                low = load8(qs + j) >> 4 * (g & 1) & BITS4
                high = load8(block[b].qh + j) >> g & BITS1
                put8_above(out, d, low | high << 4, -m)
                out += 8


cdef void dequantize_q6_k(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q6_K* block = <const block_q6_K*>row
    cdef const uint8_t* ql
    cdef const uint8_t* qh
    cdef Py_ssize_t b
    cdef uint64_t low, high
    cdef float d
    cdef int g, j
    for b in range(n // SUPER):
        for g in range(16):
            d = half_to_float(block[b].d) * <float>block[b].scales[g]
            ql = block[b].ql + 64 * (g >> 3) + 16 * (g & 3)
            qh = block[b].qh + 32 * (g >> 3) + 16 * (g & 1)
            for j in range(0, 16, 8):
                low = load8(ql + j) >> (g & 4) & BITS4
                high = load8(qh + j) >> (g & 6) & BITS2
                put8(out, d, low | high << 4, -32)
                out += 8


cdef void dequantize_q8_k(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q8_K* block = <const block_q8_K*>row
    cdef Py_ssize_t b, j
    for b in range(n // SUPER):
        for j in range(SUPER):
            out[j] = block[b].d * <float>block[b].qs[j]
        out += SUPER


cdef inline float trit(uint8_t byte, int power) noexcept nogil:
    """-1, 0 or 1: the first base-3 digit after the point of byte * 3**k / 256, power = 3**k."""
    return <float>((<int>(<uint8_t>(byte * power)) * 3 >> 8) - 1)


cdef void dequantize_tq1_0(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_tq1_0* block = <const block_tq1_0*>row
    cdef Py_ssize_t b, j
    cdef float d
    cdef int digit, power
    for b in range(n // SUPER):
        d = half_to_float(block[b].d)
        power = 1
        for digit in range(5):
            for j in range(32):
                out[32 * digit + j] = d * trit(block[b].qs[j], power)
            for j in range(16):
                out[160 + 16 * digit + j] = d * trit(block[b].qs[32 + j], power)
            if digit < 4:
                for j in range(4):
                    out[240 + 4 * digit + j] = d * trit(block[b].qh[j], power)
            power *= 3
        out += SUPER


cdef void dequantize_tq2_0(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_tq2_0* block = <const block_tq2_0*>row
    cdef const uint8_t* qs
    cdef Py_ssize_t b
    cdef float d
    cdef int g, j
    for b in range(n // SUPER):
        d = half_to_float(block[b].d)
        for g in range(8):
            qs = block[b].qs + 32 * (g >> 2)
            for j in range(0, 32, 8):
                put8(out, d, load8(qs + j) >> 2 * (g & 3) & BITS2, -1)
                out += 8
