"""The vocabulary of kernel bodies in AVX2 with FMA and F16C, alone or with AVX-VNNI: eight lanes."""
cdef extern from * nogil:
    """
    #include <immintrin.h>
    #include <stdint.h>
    #include <string.h>
    #ifdef __GNUC__
    #define prefetch(p) __builtin_prefetch(p)
    #else
    #define prefetch(p)
    #endif
    #define LANES 8
    #define TILE 8
    #define FLOAT_TILE 4
    #define ROWS 4
    #define MEET 2
    typedef __m256 vf;
    typedef __m256i vu;
    typedef __m256i vs;
    #ifdef LG_VNNI
    #define Q8_OFFSET 128     /* as in AVX-512 */
    #define Q5_OFFSET 0
    #define SPREADS 0
    #define DOT_LIMIT 0
    typedef __m256 vq;
    typedef __m256 vt;
    #else
    #define Q8_OFFSET 0       /* 8-bit codes stay signed: the sign moves to the other factor */
    #define SPREADS 1
    #define Q5_OFFSET 16      /* around zero, sixteen of them fit into 16 bits */
    #define DOT_LIMIT 32767   /* vpmaddubsw sums pairs in 16 bits: widen before they overflow */
    typedef __m256i vq;
    typedef __m256i vt;
    #endif
    #define vf_zero() _mm256_setzero_ps()
    #define vf_set1(x) _mm256_set1_ps(x)
    #define vf_load(p) _mm256_loadu_ps(p)
    #define vf_store(p, a) _mm256_storeu_ps(p, a)
    #define vf_add(a, b) _mm256_add_ps(a, b)
    #define vf_sub(a, b) _mm256_sub_ps(a, b)
    #define vf_mul(a, b) _mm256_mul_ps(a, b)
    #define vf_div(a, b) _mm256_div_ps(a, b)
    #define vf_max(a, b) _mm256_max_ps(a, b)
    #define vf_min(a, b) _mm256_min_ps(a, b)
    #define vf_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
    static inline vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
    static inline float vf_sum(vf a) {
        __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        s = _mm_add_ps(s, _mm_movehl_ps(s, s));
        return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s))); }
    static inline float vf_top(vf a) {
        __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        s = _mm_max_ps(s, _mm_movehl_ps(s, s));
        return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s))); }
    #define vf_round(a) _mm256_round_ps(a, 8)
    #define vf_near(a) vf_round(a)
    #define vf_above(a, t, s) _mm256_and_ps(_mm256_cmp_ps(a, t, _CMP_GT_OQ), s)
    #define vf_pick(a, t, x, y) _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, t, _CMP_GT_OQ))
    static inline vf vf_load_half(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
    static inline void vf_store_half(void *p, vf a) { _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, 8)); }
    static inline vf vf_load_bf16(const void *p) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16)); }
    static inline vf vf_load_u8(const void *p) {
        return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p))); }
    static inline vf vf_load_i8(const void *p) {
        return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p))); }
    static inline void vf_store_i8(void *p, vf a) {
        __m256i i = _mm256_cvtps_epi32(a);
        __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
        _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(h, h)); }
    static inline vf vf_scale2(vf a, vf n) {
        __m256i e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
        return _mm256_mul_ps(a, _mm256_castsi256_ps(e)); }
    static inline vf vf_load_u4(const void *p, int shift) {
        __m256i b = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
        return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(b, shift), _mm256_set1_epi32(15))); }
    static inline vf vf_load_i4(const void *p, int shift) {
        __m256i b = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
        return _mm256_cvtepi32_ps(_mm256_srai_epi32(shift ? b : _mm256_slli_epi32(b, 28), shift ? 4 : 28)); }
    static inline vf vf_load_e8m0(const void *p) {
        __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
        e = _mm256_sub_epi32(_mm256_max_epi32(e, _mm256_set1_epi32(1)), _mm256_set1_epi32(1));
        return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)); }
    static inline vf vf_load_e4m3(const void *p) {      /* a half holds 2**-8 of it */
        __m128i h = _mm_slli_epi16(_mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)p)), 7);
        return _mm256_mul_ps(_mm256_cvtph_ps(h), _mm256_set1_ps(128)); }
    static inline vu vu_points(const uint8_t *table, vu u) {
        return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table)), u); }
    static inline vu vu_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
    static inline void vu_store(void *p, vu a) { _mm256_storeu_si256((__m256i *)p, a); }
    static inline vu vu_load_each(const void *p) {
        __m256i b = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
        __m128i first = _mm_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
        return _mm256_shuffle_epi8(b, _mm256_broadcastsi128_si256(first)); }
    static inline vu vu_and(vu a, int byte) { return _mm256_and_si256(a, _mm256_set1_epi8((char)byte)); }
    #define vu_or(a, b) _mm256_or_si256(a, b)
    #define vu_shr(a, n) _mm256_srli_epi16(a, n)
    #define vu_shl(a, n) _mm256_slli_epi16(a, n)
    #define vu_less(u, n) _mm256_sub_epi8(u, _mm256_set1_epi8((char)(n)))
    #define vu_four(p) four(p)
    #define vs_zero() _mm256_setzero_si256()
    static inline __m256i four(const void *p) { return _mm256_castps_si256(_mm256_broadcast_ss((const float *)p)); }
    #ifdef LG_VNNI
    static inline vs vs_dot(vs s, vu u, const void *x) { return _mm256_dpbusd_avx_epi32(s, u, four(x)); }
    #define vs_dot8(s, u, x) vs_dot(s, u, x)
    #define vu_held(u) (u)
    #define vs_raised(s, x, u) _mm256_dpbusd_avx_epi32(s, x, u)
    static inline vs vs_unraised(vs s, vu u) {
        return _mm256_sub_epi32(s, _mm256_dpbusd_avx_epi32(vs_zero(), _mm256_set1_epi8(-128), u)); }
    static inline int32_t less_sums(const void *x) {
        __m128i s = _mm_madd_epi16(_mm_maddubs_epi16(_mm_set1_epi8(1), _mm_loadu_si128((const __m128i *)x)),
            _mm_set1_epi16(-1));
        s = _mm_add_epi32(s, _mm_unpackhi_epi64(s, s));
        return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 1))); }
    static inline int32_t less_both(int32_t a, int32_t b) { return a + b; }
    static inline float less_total(int32_t a) { return (float)a; }
    static inline vs vs_start(int32_t less, int offset) {
        return _mm256_madd_epi16(_mm256_set1_epi32(less), _mm256_set1_epi32(offset)); }
    #define vq_make(n, d) _mm256_mul_ps(n, d)
    #define vt_zero() vf_zero()
    #define vt_less(t, less, q, offset) _mm256_fmadd_ps(_mm256_set1_ps((float)(offset) * (less)), q, t)
    #define vt_more(t, s, q) _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), q, t)
    #define vt_value(t, d) (t)
    #else
    #define vu_held(u) in_order(u)
    /* adds stay in this order: a compiler that makes trees of them runs out of registers */
    #ifdef __GNUC__
    static inline vs in_order(vs s) { __asm__ volatile("" : "+x"(s)); return s; }
    #else
    #define in_order(s) (s)
    #endif
    static inline vs vs_dot(vs s, vu u, const void *x) {
        return in_order(_mm256_add_epi16(s, _mm256_maddubs_epi16(u, four(x)))); }
    static inline vs vs_dot8(vs s, vu u, const void *x) {
        __m256i signed_x = _mm256_sign_epi8(four(x), u);
        return in_order(_mm256_add_epi16(s, _mm256_maddubs_epi16(_mm256_sign_epi8(u, u), signed_x))); }
    static inline vs vs_raised(vs s, vu x, vu u) {
        return in_order(_mm256_add_epi16(s, _mm256_maddubs_epi16(x, u))); }
    #define vu_low(u) _mm256_and_si256(u, _mm256_set1_epi16(255))
    #define vu_even(u) vu_odd(_mm256_slli_epi16(u, 8))
    #define vu_odd(u) _mm256_srai_epi16(u, 8)
    #define vs_unraised_words(s, u) _mm256_sub_epi32(s, _mm256_madd_epi16(_mm256_set1_epi16(128), u))
    #define vs_words(s, x, u) in_order(_mm256_add_epi32(s, _mm256_madd_epi16(x, u)))
    #define vt_of_words(s) (s)
    #define vs_lifted(s) _mm256_add_epi32(s, _mm256_set1_epi32(0x4b400000))
    #define vf_of_lifted(s, d, sunk) _mm256_fmadd_ps(_mm256_castsi256_ps(s), d, sunk)
    static inline vf vq_value(vq q, vf d) {
        return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srai_epi32(q, 16)), d); }
    static inline vs vs_unraised(vs s, vu u) {
        return _mm256_sub_epi16(s, _mm256_maddubs_epi16(_mm256_set1_epi8(-128), u)); }
    /* less: what columns 0, 1 and columns 2, 3 of each four come to, in two halves of a word */
    static inline int32_t less_sums(const void *x) {
        __m128i s = _mm_maddubs_epi16(_mm_set1_epi8(1), _mm_loadu_si128((const __m128i *)x));
        s = _mm_add_epi16(s, _mm_unpackhi_epi64(s, s));
        return _mm_cvtsi128_si32(_mm_sub_epi16(_mm_setzero_si128(), _mm_add_epi16(s, _mm_shuffle_epi32(s, 1)))); }
    static inline int32_t less_both(int32_t a, int32_t b) {
        return _mm_cvtsi128_si32(_mm_add_epi16(_mm_cvtsi32_si128(a), _mm_cvtsi32_si128(b))); }
    static inline float less_total(int32_t a) {
        return (float)_mm_cvtsi128_si32(_mm_madd_epi16(_mm_cvtsi32_si128(a), _mm_set1_epi16(1))); }
    static inline vs vs_start(int32_t less, int offset) {
        return _mm256_mullo_epi16(_mm256_set1_epi32(less), _mm256_set1_epi16((short)offset)); }
    /* scales as pairs of 16 bits, so that one vpmaddwd scales both sums of a lane and adds them */
    static inline vq vq_make(vf n, vf d) {
        __m128i twice = _mm_set_epi32(0x0d0c0d0c, 0x09080908, 0x05040504, 0x01000100);
        return _mm256_shuffle_epi8(_mm256_cvtps_epi32(n), _mm256_broadcastsi128_si256(twice)); }
    #define vt_zero() _mm256_setzero_si256()
    static inline vt vt_less(vt t, int32_t less, vq q, int offset) {
        q = _mm256_mullo_epi16(q, _mm256_set1_epi16((short)offset));
        return _mm256_add_epi32(t, _mm256_madd_epi16(_mm256_set1_epi32(less), q)); }
    static inline vt vt_more(vt t, vs s, vq q) { return in_order(_mm256_add_epi32(t, _mm256_madd_epi16(s, q))); }
    #define vt_value(t, d) _mm256_mul_ps(_mm256_cvtepi32_ps(t), d)
    #endif
    """

include "words.pxi"
