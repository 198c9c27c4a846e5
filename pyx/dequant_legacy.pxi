# Rows of small blocks: one scale, and perhaps one minimum, for 16 to 128 values.
# Nibbles and their likes are taken eight at a time, as the bytes of a 64-bit word.

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from llama_gguf.engine.blocks cimport (
    block_iq4_nl, block_mxfp4, block_nvfp4, block_q1_0, block_q2_0, block_q4_0, block_q4_1,
    block_q5_0, block_q5_1, block_q8_0, block_q8_1, e8m0_half, half_to_float, ue4m3_half,
)


cdef void dequantize_q1_0(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q1_0* block = <const block_q1_0*>row
    cdef Py_ssize_t b, j
    cdef float d
    for b in range(n // 128):
        d = half_to_float(block[b].d)
        for j in range(16):
            put8(out, d, signed_bytes(BITS1, ~block[b].qs[j]), 0)
            out += 8


cdef void dequantize_q2_0(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q2_0* block = <const block_q2_0*>row
    cdef Py_ssize_t b, j
    cdef uint16_t pairs
    cdef float d
    for b in range(n // 64):
        d = half_to_float(block[b].d)
        for j in range(0, 16, 2):
            pairs = block[b].qs[j] | block[b].qs[j + 1] << 8
            put8(out, d, pair_bytes(pairs), -1)
            out += 8


cdef void dequantize_q4_0(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q4_0* block = <const block_q4_0*>row
    cdef Py_ssize_t b, j
    cdef uint64_t codes
    cdef float d
    for b in range(n // 32):
        d = half_to_float(block[b].d)
        for j in range(0, 16, 8):
            codes = load8(block[b].qs + j)
            put8(out + j, d, codes & BITS4, -8)
            put8(out + j + 16, d, codes >> 4 & BITS4, -8)
        out += 32


cdef void dequantize_q4_1(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q4_1* block = <const block_q4_1*>row
    cdef Py_ssize_t b, j
    cdef uint64_t codes
    cdef float d, m
    for b in range(n // 32):
        d = half_to_float(block[b].d)
        m = half_to_float(block[b].m)
        for j in range(0, 16, 8):
            codes = load8(block[b].qs + j)
            put8_above(out + j, d, codes & BITS4, m)
            put8_above(out + j + 16, d, codes >> 4 & BITS4, m)
        out += 32


cdef void dequantize_q5_0(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q5_0* block = <const block_q5_0*>row
    cdef Py_ssize_t b, j
    cdef uint64_t codes
    cdef uint32_t high
    cdef float d
    for b in range(n // 32):
        d = half_to_float(block[b].d)
        for j in range(0, 16, 8):
            codes = load8(block[b].qs + j)
            high = block[b].qh >> j
            put8(out + j, d, codes & BITS4 | bit_bytes(high) & BIT5, -16)
            put8(out + j + 16, d, codes >> 4 & BITS4 | bit_bytes(high >> 16) & BIT5, -16)
        out += 32


cdef void dequantize_q5_1(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q5_1* block = <const block_q5_1*>row
    cdef Py_ssize_t b, j
    cdef uint64_t codes
    cdef uint32_t high
    cdef float d, m
    for b in range(n // 32):
        d = half_to_float(block[b].d)
        m = half_to_float(block[b].m)
        for j in range(0, 16, 8):
            codes = load8(block[b].qs + j)
            high = block[b].qh >> j
            put8_above(out + j, d, codes & BITS4 | bit_bytes(high) & BIT5, m)
            put8_above(out + j + 16, d, codes >> 4 & BITS4 | bit_bytes(high >> 16) & BIT5, m)
        out += 32


cdef void dequantize_q8_0(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q8_0* block = <const block_q8_0*>row
    cdef Py_ssize_t b, j
    cdef float d
    for b in range(n // 32):
        d = half_to_float(block[b].d)
        for j in range(32):
            out[j] = d * <float>block[b].qs[j]
        out += 32


cdef void dequantize_q8_1(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_q8_1* block = <const block_q8_1*>row
    cdef Py_ssize_t b, j
    cdef float d
    for b in range(n // 32):
        d = half_to_float(block[b].d)
        for j in range(32):
            out[j] = d * <float>block[b].qs[j]
        out += 32


cdef void dequantize_iq4_nl(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_iq4_nl* block = <const block_iq4_nl*>row
    cdef Py_ssize_t b, j
    cdef uint64_t codes
    cdef float d
    for b in range(n // 32):
        d = half_to_float(block[b].d)
        for j in range(0, 16, 8):
            codes = load8(block[b].qs + j)
            put8(out + j, d, look8(iq4_values, codes & BITS4), 0)
            put8(out + j + 16, d, look8(iq4_values, codes >> 4 & BITS4), 0)
        out += 32


cdef void dequantize_mxfp4(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_mxfp4* block = <const block_mxfp4*>row
    cdef Py_ssize_t b, j
    cdef uint64_t codes
    cdef float d
    for b in range(n // 32):
        d = e8m0_half(block[b].e)
        for j in range(0, 16, 8):
            codes = load8(block[b].qs + j)
            put8(out + j, d, look8(fp4_values, codes & BITS4), 0)
            put8(out + j + 16, d, look8(fp4_values, codes >> 4 & BITS4), 0)
        out += 32


cdef void dequantize_nvfp4(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_nvfp4* block = <const block_nvfp4*>row
    cdef Py_ssize_t b, g
    cdef uint64_t codes
    cdef float d
    for b in range(n // 64):
        for g in range(4):
            d = ue4m3_half(block[b].d[g])
            codes = load8(block[b].qs + 8 * g)
            put8(out, d, look8(fp4_values, codes & BITS4), 0)
            put8(out + 8, d, look8(fp4_values, codes >> 4 & BITS4), 0)
            out += 16
