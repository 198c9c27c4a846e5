# Eight codes at a time, as the bytes of a 64-bit word, the first one lowest: what the smaller
# types are unpacked with. Plain C, and the same in the vectors that every x86-64 has.

from libc.stdint cimport int8_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__AVX2__) && (defined(__x86_64__) || defined(_M_X64))
    #include <immintrin.h>
    #define LG_AVX2
    #elif (defined(__SSE2__) && defined(__x86_64__)) || defined(_M_X64)
    #include <emmintrin.h>
    #define LG_SSE2
    #endif

    #define LG_BITS1 0x0101010101010101u
    #define LG_BITS2 0x0303030303030303u
    #define LG_BITS4 0x0f0f0f0f0f0f0f0fu
    #define LG_BIT5 0x1010101010101010u

    static inline uint64_t lg_load8(const void *bytes) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        return word;
    }

    /* Eight bits to eight bytes, 0x00 or 0xff. */
    static inline uint64_t lg_bit_bytes(uint8_t bits) {
        uint64_t spread = bits * 0x0101010101010101u & 0x8040201008040201u;
        return ((spread + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u) * 255;
    }

    /* Eight pairs of bits to eight bytes. */
    static inline uint64_t lg_pair_bytes(uint16_t pairs) {
        uint64_t word = (pairs | (uint64_t)pairs << 24) & 0x000000ff000000ffu;
        word = (word | word << 12) & 0x000f000f000f000fu;
        return (word | word << 6) & 0x0303030303030303u;
    }

    /* Seven stored signs and an eighth that makes their number even. */
    static inline uint8_t lg_even_signs(uint32_t seven) {
        uint32_t parity = seven & 127;
        parity ^= parity >> 4;
        return (uint8_t)((seven & 127) | (0x6996u >> (parity & 15) & 1) << 7);
    }

    /* Negates those of eight codes, all in 1..127, whose bit in `signs` is set. */
    static inline uint64_t lg_signed_bytes(uint64_t codes, uint8_t signs) {
        uint64_t flip = lg_bit_bytes(signs);
        return (codes ^ flip) + (flip & 0x0101010101010101u);
    }

    /* table[index] for eight indices below 16. */
    static inline uint64_t lg_look8(const int8_t *table, uint64_t index) {
    #if defined(LG_AVX2)
        __m128i sixteen = _mm_loadu_si128((const __m128i *)table);
        return _mm_cvtsi128_si64(_mm_shuffle_epi8(sixteen, _mm_cvtsi64_si128(index)));
    #else
        int8_t found[8];
        for (int j = 0; j < 8; j++) found[j] = table[index >> 8 * j & 15];
        return lg_load8(found);
    #endif
    }

    #if defined(LG_SSE2)
    static inline __m128 lg_low4(uint64_t codes) {
        __m128i bytes = _mm_cvtsi64_si128(codes), wide = _mm_unpacklo_epi8(bytes, bytes);
        return _mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(wide, wide), 24));
    }
    #endif

    /* out[j] = scale * (codes[j] + shift) */
    static inline void lg_put8(float *out, float scale, uint64_t codes, float shift) {
    #if defined(LG_AVX2)
        __m256 v = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(codes)));
        v = _mm256_mul_ps(_mm256_set1_ps(scale), _mm256_add_ps(v, _mm256_set1_ps(shift)));
        _mm256_storeu_ps(out, v);
    #elif defined(LG_SSE2)
        __m128 d = _mm_set1_ps(scale), s = _mm_set1_ps(shift);
        _mm_storeu_ps(out, _mm_mul_ps(d, _mm_add_ps(lg_low4(codes), s)));
        _mm_storeu_ps(out + 4, _mm_mul_ps(d, _mm_add_ps(lg_low4(codes >> 32), s)));
    #else
        int8_t bytes[8];
        memcpy(bytes, &codes, 8);
        for (int j = 0; j < 8; j++) out[j] = scale * ((float)bytes[j] + shift);
    #endif
    }

    /* out[j] = scale * codes[j] + minimum */
    static inline void lg_put8_above(float *out, float scale, uint64_t codes, float minimum) {
    #if defined(LG_AVX2)
        __m256 v = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(codes)));
        v = _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(scale), v), _mm256_set1_ps(minimum));
        _mm256_storeu_ps(out, v);
    #elif defined(LG_SSE2)
        __m128 d = _mm_set1_ps(scale), m = _mm_set1_ps(minimum);
        _mm_storeu_ps(out, _mm_add_ps(_mm_mul_ps(d, lg_low4(codes)), m));
        _mm_storeu_ps(out + 4, _mm_add_ps(_mm_mul_ps(d, lg_low4(codes >> 32)), m));
    #else
        int8_t bytes[8];
        memcpy(bytes, &codes, 8);
        for (int j = 0; j < 8; j++) out[j] = scale * (float)bytes[j] + minimum;
    #endif
    }
    """
    # the same bits of all eight
    const uint64_t BITS1 "LG_BITS1"
    const uint64_t BITS2 "LG_BITS2"
    const uint64_t BITS4 "LG_BITS4"
    const uint64_t BIT5 "LG_BIT5"
    uint64_t load8 "lg_load8"(const void* codes)
    uint64_t bit_bytes "lg_bit_bytes"(uint8_t bits)
    uint64_t pair_bytes "lg_pair_bytes"(uint16_t pairs)
    uint8_t even_signs "lg_even_signs"(uint32_t seven)
    uint64_t signed_bytes "lg_signed_bytes"(uint64_t codes, uint8_t signs)
    uint64_t look8 "lg_look8"(const int8_t* table, uint64_t index)
    void put8 "lg_put8"(float* out, float scale, uint64_t codes, float shift)
    void put8_above "lg_put8_above"(float* out, float scale, uint64_t codes, float minimum)
