"""The block layouts of every quantized GGUF type, and the words that read their scales.

A row is a run of blocks without padding, at any address: the structs are packed, so that the
compiler loads their fields unaligned. Layouts as in `ggml-common.h` of llama.cpp b11434; all
little-endian. Declarations only: to cimport this header makes no module depend on another.
"""

from libc.stdint cimport int8_t, int16_t, uint8_t, uint16_t, uint32_t

# `out` (n values) must not overlap `row`; n is a whole number of blocks.
ctypedef void (*deq_fn)(const void* row, float* out, Py_ssize_t n) noexcept nogil

cdef enum TypeId:
    TYPE_F32 = 0
    TYPE_F16 = 1
    TYPE_Q4_0 = 2
    TYPE_Q4_1 = 3
    TYPE_Q5_0 = 6
    TYPE_Q5_1 = 7
    TYPE_Q8_0 = 8
    TYPE_Q8_1 = 9
    TYPE_Q2_K = 10
    TYPE_Q3_K = 11
    TYPE_Q4_K = 12
    TYPE_Q5_K = 13
    TYPE_Q6_K = 14
    TYPE_Q8_K = 15
    TYPE_IQ2_XXS = 16
    TYPE_IQ2_XS = 17
    TYPE_IQ3_XXS = 18
    TYPE_IQ1_S = 19
    TYPE_IQ4_NL = 20
    TYPE_IQ3_S = 21
    TYPE_IQ2_S = 22
    TYPE_IQ4_XS = 23
    TYPE_I8 = 24
    TYPE_I16 = 25
    TYPE_I32 = 26
    TYPE_I64 = 27
    TYPE_F64 = 28
    TYPE_IQ1_M = 29
    TYPE_BF16 = 30
    TYPE_TQ1_0 = 34
    TYPE_TQ2_0 = 35
    TYPE_MXFP4 = 39
    TYPE_NVFP4 = 40
    TYPE_Q1_0 = 41
    TYPE_Q2_0 = 42

cdef enum:
    SUPER = 256   # values in a super-block of the K and I families

# ---- one scale (and one minimum) for 32, 64 or 128 values

cdef packed struct block_q1_0:
    uint16_t d
    uint8_t qs[16]

cdef packed struct block_q2_0:
    uint16_t d
    uint8_t qs[16]

cdef packed struct block_q4_0:
    uint16_t d
    uint8_t qs[16]          # value j in the low nibble of byte j, value j + 16 in the high one

cdef packed struct block_q4_1:
    uint16_t d
    uint16_t m
    uint8_t qs[16]

cdef packed struct block_q5_0:
    uint16_t d
    uint32_t qh             # bit j: the fifth bit of value j
    uint8_t qs[16]

cdef packed struct block_q5_1:
    uint16_t d
    uint16_t m
    uint32_t qh
    uint8_t qs[16]

cdef packed struct block_q8_0:
    uint16_t d
    int8_t qs[32]

cdef packed struct block_q8_1:
    uint16_t d
    uint16_t s              # d * sum(qs), for dot products
    int8_t qs[32]

cdef packed struct block_iq4_nl:
    uint16_t d
    uint8_t qs[16]

cdef packed struct block_mxfp4:
    uint8_t e               # E8M0: a power of two
    uint8_t qs[16]

cdef packed struct block_nvfp4:
    uint8_t d[4]            # UE4M3, one for 16 values
    uint8_t qs[32]

# ---- super-blocks of 256 values with quantized scales

cdef packed struct block_q2_K:
    uint8_t scales[16]      # low nibble: scale, high nibble: minimum, of 16 values each
    uint8_t qs[64]
    uint16_t d
    uint16_t dmin

cdef packed struct block_q3_K:
    uint8_t hmask[32]
    uint8_t qs[64]
    uint8_t scales[12]
    uint16_t d

cdef packed struct block_q4_K:
    uint16_t d
    uint16_t dmin
    uint8_t scales[12]
    uint8_t qs[128]

cdef packed struct block_q5_K:
    uint16_t d
    uint16_t dmin
    uint8_t scales[12]
    uint8_t qh[32]
    uint8_t qs[128]

cdef packed struct block_q6_K:
    uint8_t ql[128]
    uint8_t qh[64]
    int8_t scales[16]
    uint16_t d

cdef packed struct block_q8_K:
    float d
    int8_t qs[256]
    int16_t bsums[16]       # sums of 16 qs, for dot products

cdef packed struct block_tq1_0:
    uint8_t qs[48]          # five base-3 digits a byte, scaled by 256/243
    uint8_t qh[4]           # four a byte
    uint16_t d

cdef packed struct block_tq2_0:
    uint8_t qs[64]
    uint16_t d

# ---- super-blocks of 256 values that name points of a codebook

cdef packed struct block_iq1_s:
    uint16_t d
    uint8_t qs[32]
    uint16_t qh[8]

cdef packed struct block_iq1_m:
    uint8_t qs[32]
    uint8_t qh[16]
    uint16_t scales[4]      # the top nibbles are the half-precision d

cdef packed struct block_iq2_xxs:
    uint16_t d
    uint32_t qs[16]         # pairs: four indices; four 7-bit signs and the scale

cdef packed struct block_iq2_xs:
    uint16_t d
    uint16_t qs[32]
    uint8_t scales[8]

cdef packed struct block_iq2_s:
    uint16_t d
    uint8_t qs[32]
    uint8_t signs[32]
    uint8_t qh[8]
    uint8_t scales[8]

cdef packed struct block_iq3_xxs:
    uint16_t d
    uint8_t qs[64]
    uint32_t signs[8]       # four 7-bit signs and the scale

cdef packed struct block_iq3_s:
    uint16_t d
    uint8_t qs[64]
    uint8_t qh[8]
    uint8_t signs[32]
    uint8_t scales[4]

cdef packed struct block_iq4_xs:
    uint16_t d
    uint16_t scales_h
    uint8_t scales_l[4]
    uint8_t qs[128]

# ---- words

cdef extern from * nogil:
    """
    #ifndef LG_BLOCKS
    #define LG_BLOCKS
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>
    #if defined(__F16C__) || (defined(_MSC_VER) && defined(__AVX2__))
    #include <immintrin.h>
    #define LG_F16C
    #endif

    /* `expected`; does not compile where a struct has another size. */
    #define lg_size_is(actual, expected) \\
        ((expected) * (int)sizeof(char[(actual) == (expected) ? 1 : -1]))

    static inline float lg_bits_to_float(uint32_t bits) {
        float value;
        memcpy(&value, &bits, 4);
        return value;
    }

    /* Without branches and without subnormal operands: it vectorizes, and holds under
       flush-to-zero. A signalling NaN becomes quiet, as the instruction has it. */
    static inline float lg_half_bits_to_float(uint16_t half) {
        uint32_t m = (uint32_t)(half & 0x7fff) << 13;
        float small = lg_bits_to_float(m + (113u << 23)) - lg_bits_to_float(113u << 23);
        uint32_t quiet = m > 0x0f800000 ? 0x00400000 : 0, bits;
        memcpy(&bits, &small, 4);
        bits = m < 0x00800000 ? bits : m + (112u << 23);
        bits = m < 0x0f800000 ? bits : ((m + (224u << 23)) | quiet);
        return lg_bits_to_float(bits | (uint32_t)(half & 0x8000) << 16);
    }

    static inline float lg_half_to_float(uint16_t half) {
    #if defined(LG_F16C)
        return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
    #elif defined(__ARM_FP16_FORMAT_IEEE)
        __fp16 value;
        memcpy(&value, &half, 2);
        return value;
    #else
        return lg_half_bits_to_float(half);
    #endif
    }

    static inline void lg_halves_to_floats(const void *halves, float *out, ptrdiff_t n) {
        const char *from = (const char *)halves;
        ptrdiff_t i = 0;
        uint16_t half;
    #if defined(LG_F16C)
        for (; i + 8 <= n; i += 8) {
            __m128i eight = _mm_loadu_si128((const __m128i *)(from + 2 * i));
            _mm256_storeu_ps(out + i, _mm256_cvtph_ps(eight));
        }
    #endif
        for (; i < n; i++) {
            memcpy(&half, from + 2 * i, 2);
            out[i] = lg_half_to_float(half);
        }
    }

    /* E8M0 exponent of an MXFP4 block, halved because its codes are stored doubled. */
    static inline float lg_e8m0_half(uint8_t e) {
        return lg_bits_to_float(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
    }

    /* UE4M3 scale of an NVFP4 block, halved likewise; 0x7f (NaN in the format) counts as 0. */
    static inline float lg_ue4m3_half(uint8_t x) {
        uint32_t exponent = x >> 3 & 15, mantissa = x & 7;
        if (x == 0x7f) return 0.0f;
        if (exponent == 0) return (float)mantissa * (1.0f / 1024);
        return lg_bits_to_float((exponent + 119) << 23 | mantissa << 20);
    }
    #endif
    """
    int size_is "lg_size_is"(size_t actual, int expected)
    float bits_to_float "lg_bits_to_float"(uint32_t bits)
    float half_to_float "lg_half_to_float"(uint16_t half)
    void halves_to_floats "lg_halves_to_floats"(const void* halves, float* out, Py_ssize_t n)
    float e8m0_half "lg_e8m0_half"(uint8_t e)
    float ue4m3_half "lg_ue4m3_half"(uint8_t x)


cdef inline int k3_scale(const uint8_t* scales, int g) noexcept nogil:
    """Scale 0 <= g < 16 of a Q3_K block: six bits, stored with 32 added."""
    cdef int low = scales[g & 7] >> 4 * (g >> 3) & 15
    return (low | (scales[8 + (g & 3)] >> 2 * (g >> 2) & 3) << 4) - 32


cdef inline int k4_scale(const uint8_t* scales, int g) noexcept nogil:
    """Scale 0 <= g < 8 of a Q4_K or Q5_K block: six bits, those of the last four in two places."""
    return scales[g] & 63 if g < 4 else (scales[g + 4] & 15) | (scales[g - 4] >> 6) << 4


cdef inline int k4_minimum(const uint8_t* scales, int g) noexcept nogil:
    """Minimum 0 <= g < 8 of a Q4_K or Q5_K block."""
    return scales[g + 4] & 63 if g < 4 else scales[g + 4] >> 4 | (scales[g] >> 6) << 4


cdef inline int iq4_scale(const block_iq4_xs* block, int g) noexcept nogil:
    """Scale 0 <= g < 8 of an IQ4_XS block: six bits, stored with 32 added."""
    cdef int low = block.scales_l[g >> 1] >> 4 * (g & 1) & 15
    return (low | (block.scales_h >> 2 * g & 3) << 4) - 32


cdef inline uint16_t iq1m_half(const block_iq1_m* block) noexcept nogil:
    """The half-precision scale that IQ1_M scatters over the top nibbles of its scales."""
    return (block.scales[0] >> 12 | (block.scales[1] >> 8 & 0x00f0)
            | (block.scales[2] >> 4 & 0x0f00) | (block.scales[3] & 0xf000))
