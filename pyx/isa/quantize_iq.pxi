# Rows of super-blocks that name points of a codebook: IQ1, IQ2, IQ3.

from llama_gguf.engine.blocks cimport (
    block_iq1_m, block_iq1_s, block_iq2_s, block_iq2_xs, block_iq2_xxs, block_iq3_s, block_iq3_xxs,
)

cdef float[16] ODD = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31]
cdef Codes ODD_TO_31 = odd_codes(16)
cdef Codes ODD_TO_15 = odd_codes(8)
cdef Codes LEVELS_IQ1 = whole_codes(-1, 1, -0.3, 2.5)
cdef Codes LEVELS_IQ2 = point_codes(IQ2_S.level, 3, -8, 24)
cdef Codes LEVELS_IQ3_XXS = point_codes(IQ3_XXS.level, 8, -6, 12)
cdef Codes LEVELS_IQ3_S = point_codes(IQ3_S.level, 8, -1.5, 3)

cdef Kind KIND_IQ1_S = Kind(&IQ1, 8, 15, 1, False, 1)
cdef Kind KIND_IQ1_M = Kind(&IQ1, 16, 15, 1, False, 2)
cdef Kind KIND_IQ2_XXS = Kind(&IQ2_XXS, 8, 31, 0.125, True, 0)
cdef Kind KIND_IQ2_XS = Kind(&IQ2_XS, 16, 31, 0.125, True, 0)
cdef Kind KIND_IQ2_S = Kind(&IQ2_S, 16, 31, 0.125, False, 0)
cdef Kind KIND_IQ3_XXS = Kind(&IQ3_XXS, 8, 31, 0.25, True, 0)
cdef Kind KIND_IQ3_S = Kind(&IQ3_S, 8, 31, 1, False, 0)


cdef Codes odd_codes(int n) noexcept:
    cdef Codes codes = point_codes(ODD, n, -2, 2)
    codes.step = 2
    return codes


cdef inline uint32_t four_signs(const uint8_t* minus) noexcept nogil:
    """Seven signs of each of four times eight values."""
    return (minus[0] & 127 | (minus[1] & 127) << 7 | (minus[2] & 127) << 14 | <uint32_t>(minus[3] & 127) << 21)


cdef void quantize_iq2_xxs(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_iq2_xxs* block = <block_iq2_xxs*>row
    cdef Named found
    cdef Py_ssize_t b
    cdef int g, k
    for b in range(n // 256):
        fit_named(x, w, &KIND_IQ2_XXS, &LEVELS_IQ2, &ODD_TO_31, &found)
        block[b].d = found.d
        for g in range(8):
            block[b].qs[2 * g] = 0
            for k in range(4):
                block[b].qs[2 * g] |= <uint32_t>found.point[4 * g + k] << 8 * k
            block[b].qs[2 * g + 1] = four_signs(found.minus + 4 * g) | <uint32_t>found.l[g] << 28
        x += 256
        w += 256


cdef void quantize_iq2_xs(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_iq2_xs* block = <block_iq2_xs*>row
    cdef Named found
    cdef Py_ssize_t b
    cdef int g, k
    for b in range(n // 256):
        fit_named(x, w, &KIND_IQ2_XS, &LEVELS_IQ2, &ODD_TO_31, &found)
        block[b].d = found.d
        for k in range(32):
            block[b].qs[k] = <uint16_t>(found.point[k] | (found.minus[k] & 127) << 9)
        for g in range(8):
            block[b].scales[g] = <uint8_t>(found.l[2 * g] | found.l[2 * g + 1] << 4)
        x += 256
        w += 256


cdef void quantize_iq2_s(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_iq2_s* block = <block_iq2_s*>row
    cdef Named found
    cdef Py_ssize_t b
    cdef int g, k
    for b in range(n // 256):
        fit_named(x, w, &KIND_IQ2_S, &LEVELS_IQ2, &ODD_TO_31, &found)
        block[b].d = found.d
        memcpy(block[b].signs, found.minus, 32)
        memset(block[b].qh, 0, 8)
        for k in range(32):
            block[b].qs[k] = <uint8_t>(found.point[k] & 255)
            block[b].qh[k >> 2] |= found.point[k] >> 8 << 2 * (k & 3)
        for g in range(8):
            block[b].scales[g] = <uint8_t>(found.l[2 * g] | found.l[2 * g + 1] << 4)
        x += 256
        w += 256


cdef void quantize_iq3_xxs(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_iq3_xxs* block = <block_iq3_xxs*>row
    cdef Named found
    cdef Py_ssize_t b
    cdef int g, k
    for b in range(n // 256):
        fit_named(x, w, &KIND_IQ3_XXS, &LEVELS_IQ3_XXS, &ODD_TO_31, &found)
        block[b].d = found.d
        for k in range(64):
            block[b].qs[k] = <uint8_t>found.point[k]
        for g in range(8):
            block[b].signs[g] = four_signs(found.minus + 4 * g) | <uint32_t>found.l[g] << 28
        x += 256
        w += 256


cdef void quantize_iq3_s(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_iq3_s* block = <block_iq3_s*>row
    cdef Named found
    cdef Py_ssize_t b
    cdef int g, k
    for b in range(n // 256):
        fit_named(x, w, &KIND_IQ3_S, &LEVELS_IQ3_S, &ODD_TO_31, &found)
        block[b].d = found.d
        memcpy(block[b].signs, found.minus, 32)
        memset(block[b].qh, 0, 8)
        for k in range(64):
            block[b].qs[k] = <uint8_t>(found.point[k] & 255)
            block[b].qh[k >> 3] |= found.point[k] >> 8 << (k & 7)
        for g in range(4):
            block[b].scales[g] = <uint8_t>(found.l[2 * g] | found.l[2 * g + 1] << 4)
        x += 256
        w += 256


cdef void quantize_iq1_s(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_iq1_s* block = <block_iq1_s*>row
    cdef Named found
    cdef Py_ssize_t b
    cdef int g, k, high
    for b in range(n // 256):
        fit_named(x, w, &KIND_IQ1_S, &LEVELS_IQ1, &ODD_TO_15, &found)
        block[b].d = found.d
        for g in range(8):
            high = found.l[g] << 12 | found.minus[4 * g] << 15
            for k in range(4):
                block[b].qs[4 * g + k] = <uint8_t>(found.point[4 * g + k] & 255)
                high |= found.point[4 * g + k] >> 8 << 3 * k
            block[b].qh[g] = <uint16_t>high
        x += 256
        w += 256


cdef void quantize_iq1_m(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil:
    cdef block_iq1_m* block = <block_iq1_m*>row
    cdef Named found
    cdef Py_ssize_t b
    cdef int g, k
    for b in range(n // 256):
        fit_named(x, w, &KIND_IQ1_M, &LEVELS_IQ1, &ODD_TO_15, &found)
        memset(block[b].qh, 0, 16)
        for k in range(32):
            block[b].qs[k] = <uint8_t>(found.point[k] & 255)
            block[b].qh[k >> 1] |= (found.point[k] >> 8 | found.minus[k] << 3) << 4 * (k & 1)
        for g in range(4):
            block[b].scales[g] = (found.d >> 4 * g & 15) << 12
        for g in range(16):
            block[b].scales[g >> 2] |= found.l[g] << 3 * (g & 3)
        x += 256
        w += 256
