# Rows of super-blocks that name points of a codebook, eight values (or two times four) at once.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from llama_gguf.engine.blocks cimport (
    SUPER, block_iq1_m, block_iq1_s, block_iq2_s, block_iq2_xs, block_iq2_xxs, block_iq3_s,
    block_iq3_xxs, block_iq4_xs, half_to_float, iq1m_half, iq4_scale,
)


cdef void dequantize_iq1_s(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_iq1_s* block = <const block_iq1_s*>row
    cdef Py_ssize_t b
    cdef float d, shift
    cdef int g, k, index
    cdef uint16_t high
    for b in range(n // SUPER):
        for g in range(8):
            high = block[b].qh[g]
            d = half_to_float(block[b].d) * <float>(2 * (high >> 12 & 7) + 1)
            shift = -0.125 if high & 0x8000 else 0.125
            for k in range(4):
                index = block[b].qs[4 * g + k] | (high >> 3 * k & 7) << 8
                put8(out, d, iq1s_grid[index], shift)
                out += 8


cdef void dequantize_iq1_m(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_iq1_m* block = <const block_iq1_m*>row
    cdef Py_ssize_t b
    cdef float d, shift
    cdef int g, k, index, high
    for b in range(n // SUPER):
        for g in range(16):
            d = half_to_float(iq1m_half(block + b))
            d *= <float>(2 * (block[b].scales[g >> 2] >> 3 * (g & 3) & 7) + 1)
            for k in range(2):
                high = block[b].qh[g] >> 4 * k
                shift = -0.125 if high & 8 else 0.125
                index = block[b].qs[2 * g + k] | (high & 7) << 8
                put8(out, d, iq1s_grid[index], shift)
                out += 8


cdef void dequantize_iq2_xxs(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_iq2_xxs* block = <const block_iq2_xxs*>row
    cdef Py_ssize_t b
    cdef uint32_t points, signs
    cdef float d
    cdef int g, k
    for b in range(n // SUPER):
        for g in range(8):
            points = block[b].qs[2 * g]
            signs = block[b].qs[2 * g + 1]
            d = half_to_float(block[b].d) * (<float>0.5 + <float>(signs >> 28)) * <float>0.25
            for k in range(4):
                put8(out, d, signed_bytes(iq2xxs_grid[points & 255], even_signs(signs)), 0)
                points >>= 8
                signs >>= 7
                out += 8


cdef void dequantize_iq2_xs(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_iq2_xs* block = <const block_iq2_xs*>row
    cdef Py_ssize_t b
    cdef uint16_t q
    cdef float d
    cdef int g, k, scale
    for b in range(n // SUPER):
        for g in range(16):
            scale = block[b].scales[g >> 1] >> 4 * (g & 1) & 15
            d = half_to_float(block[b].d) * (<float>0.5 + <float>scale) * <float>0.25
            for k in range(2):
                q = block[b].qs[2 * g + k]
                put8(out, d, signed_bytes(iq2xs_grid[q & 511], even_signs(q >> 9)), 0)
                out += 8


cdef void dequantize_iq2_s(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_iq2_s* block = <const block_iq2_s*>row
    cdef Py_ssize_t b
    cdef float d
    cdef int g, i, index, scale
    for b in range(n // SUPER):
        for g in range(16):
            scale = block[b].scales[g >> 1] >> 4 * (g & 1) & 15
            d = half_to_float(block[b].d) * (<float>0.5 + <float>scale) * <float>0.25
            for i in range(2 * g, 2 * g + 2):
                index = block[b].qs[i] | (block[b].qh[i >> 2] >> 2 * (i & 3) & 3) << 8
                put8(out, d, signed_bytes(iq2s_grid[index], block[b].signs[i]), 0)
                out += 8


cdef void dequantize_iq3_xxs(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_iq3_xxs* block = <const block_iq3_xxs*>row
    cdef const uint8_t* qs
    cdef Py_ssize_t b
    cdef uint32_t signs
    cdef uint64_t point
    cdef float d
    cdef int g, k
    for b in range(n // SUPER):
        qs = &block[b].qs[0]
        for g in range(8):
            signs = block[b].signs[g]
            d = half_to_float(block[b].d) * (<float>0.5 + <float>(signs >> 28)) * <float>0.5
            for k in range(4):
                point = iq3xxs_grid[qs[0]] | <uint64_t>iq3xxs_grid[qs[1]] << 32
                put8(out, d, signed_bytes(point, even_signs(signs)), 0)
                signs >>= 7
                qs += 2
                out += 8


cdef void dequantize_iq3_s(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_iq3_s* block = <const block_iq3_s*>row
    cdef const uint8_t* qs
    cdef Py_ssize_t b
    cdef uint64_t point
    cdef float d
    cdef int g, k, high
    for b in range(n // SUPER):
        qs = &block[b].qs[0]
        for g in range(8):
            d = half_to_float(block[b].d)
            d *= <float>(1 + 2 * (block[b].scales[g >> 1] >> 4 * (g & 1) & 15))
            high = block[b].qh[g]
            for k in range(4):
                point = iq3s_grid[qs[1] | (high & 2) << 7]
                point = iq3s_grid[qs[0] | (high & 1) << 8] | point << 32
                put8(out, d, signed_bytes(point, block[b].signs[4 * g + k]), 0)
                high >>= 2
                qs += 2
                out += 8


cdef void dequantize_iq4_xs(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const block_iq4_xs* block = <const block_iq4_xs*>row
    cdef Py_ssize_t b
    cdef uint64_t codes
    cdef float d
    cdef int g, j
    for b in range(n // SUPER):
        for g in range(8):
            d = half_to_float(block[b].d) * <float>iq4_scale(block + b, g)
            for j in range(0, 16, 8):
                codes = load8(block[b].qs + 16 * g + j)
                put8(out + j, d, look8(iq4_values, codes & BITS4), 0)
                put8(out + j + 16, d, look8(iq4_values, codes >> 4 & BITS4), 0)
            out += 32
