"""The vocabulary of kernel bodies in AVX-512 (F, BW, DQ, VL) with VNNI: sixteen lanes."""
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
    #define LANES 16
    #define TILE 8            /* tokens of one register tile */
    #define FLOAT_TILE 8      /* of them, in float */
    #define ROWS 8            /* query rows of one attention tile */
    #define Q8_OFFSET 128     /* 8-bit codes are stored unsigned: vpdpbusd wants u8 x s8 */
    #define Q5_OFFSET 0
    #define SPREADS 1
    #define MEET 4
    #define DOT_LIMIT 0       /* sums are 32 bits wide: never in danger */
    typedef __m512 vf;
    typedef __m512i vu;
    typedef __m512i vs;
    typedef __m512 vq;
    typedef __m512 vt;
    #define vf_zero() _mm512_setzero_ps()
    #define vf_set1(x) _mm512_set1_ps(x)
    #define vf_load(p) _mm512_loadu_ps(p)
    #define vf_store(p, a) _mm512_storeu_ps(p, a)
    #define vf_add(a, b) _mm512_add_ps(a, b)
    #define vf_sub(a, b) _mm512_sub_ps(a, b)
    #define vf_mul(a, b) _mm512_mul_ps(a, b)
    #define vf_div(a, b) _mm512_div_ps(a, b)
    #define vf_max(a, b) _mm512_max_ps(a, b)
    #define vf_min(a, b) _mm512_min_ps(a, b)
    #define vf_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
    #define vf_abs(a) _mm512_abs_ps(a)
    #define vf_sum(a) _mm512_reduce_add_ps(a)
    #define vf_top(a) _mm512_reduce_max_ps(a)
    #define vf_round(a) _mm512_roundscale_ps(a, 8)
    #define vf_near(a) vf_round(a)
    #define vf_above(a, t, s) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, t, _CMP_GT_OQ), s)
    #define vf_pick(a, t, x, y) _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(a, t, _CMP_GT_OQ), x)
    static inline vf vf_load_half(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
    static inline void vf_store_half(void *p, vf a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, 8)); }
    static inline vf vf_load_bf16(const void *p) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i
            *)p)), 16)); }
    static inline vf vf_load_u8(const void *p) {
        return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p))); }
    static inline vf vf_load_i8(const void *p) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p))); }
    static inline void vf_store_i8(void *p, vf a) {
        _mm_storeu_si128((__m128i *)p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(a))); }
    static inline vf vf_scale2(vf a, vf n) { return _mm512_scalef_ps(a, n); }   /* a * 2**n, n whole */
    static inline vf vf_load_u4(const void *p, int shift) {
        __m512i b = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
        return _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_srli_epi32(b, shift), _mm512_set1_epi32(15))); }
    static inline vf vf_load_i4(const void *p, int shift) {    /* a look-up that heeds the low 4 bits only */
        __m512i b = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
        return _mm512_permutexvar_ps(_mm512_srli_epi32(b, shift),
            _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1)); }
    static inline vf vf_load_e8m0(const void *p) {
        __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
        e = _mm512_sub_epi32(_mm512_max_epi32(e, _mm512_set1_epi32(1)), _mm512_set1_epi32(1));
        return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23)); }
    static inline vf vf_load_e4m3(const void *p) {      /* a half holds 2**-8 of it */
        __m256i h = _mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p)), 7);
        return _mm512_mul_ps(_mm512_cvtph_ps(h), _mm512_set1_ps(128)); }
    static inline vu vu_points(const uint8_t *table, vu u) {
        return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table)), u); }
    #define vu_load(p) _mm512_loadu_si512(p)
    #define vu_store(p, a) _mm512_storeu_si512(p, a)
    static inline vu vu_load_each(const void *p) {
        __m512i b = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
        __m128i first = _mm_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
        return _mm512_shuffle_epi8(b, _mm512_broadcast_i32x4(first)); }
    static inline vu vu_and(vu a, int byte) { return _mm512_and_si512(a, _mm512_set1_epi8((char)byte)); }
    #define vu_or(a, b) _mm512_or_si512(a, b)
    #define vu_shr(a, n) _mm512_srli_epi16(a, n)
    #define vu_shl(a, n) _mm512_slli_epi16(a, n)
    #define vs_zero() _mm512_setzero_si512()
    static inline int32_t four(const void *p) { int32_t x; memcpy(&x, p, 4); return x; }
    static inline vs vs_dot(vs s, vu u, const void *x) { return _mm512_dpbusd_epi32(s, u, _mm512_set1_epi32(four(x))); }
    #define vs_dot8(s, u, x) vs_dot(s, u, x)
    #define vu_less(u, n) _mm512_sub_epi8(u, _mm512_set1_epi8((char)(n)))
    #define vu_four(p) _mm512_set1_epi32(four(p))
    #ifdef __GNUC__       /* a load for each use takes longer than the product */
    static inline vu vu_held(vu u) { __asm__ volatile("" : "+v"(u)); return u; }
    static inline vq vq_held(vq q) { __asm__ volatile("" : "+v"(q)); return q; }
    static inline int in_turn(int i) { __asm__ volatile("" : "+r"(i)); return i; }
    #define in_turn(i) in_turn(i)
    static inline const void *held_at(const void *p) { __asm__ volatile("" : "+r"(p)); return p; }
    #define held_at(p) held_at(p)
    #define vs_held(s) vu_held(s)
    #define vq_held(q) vq_held(q)
    #else
    #define vu_held(u) (u)
    #endif
    #define vs_raised(s, x, u) _mm512_dpbusd_epi32(s, x, u)
    static inline vs vs_unraised(vs s, vu u) {
        return _mm512_sub_epi32(s, _mm512_dpbusd_epi32(vs_zero(), _mm512_set1_epi8(-128), u)); }
    static inline int32_t less_sums(const void *x) {
        __m512i s = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)x));
        return -_mm512_reduce_add_epi32(s); }
    static inline int32_t less_both(int32_t a, int32_t b) { return a + b; }
    static inline float less_total(int32_t a) { return (float)a; }
    static inline vs vs_start(int32_t less, int offset) {
        return _mm512_madd_epi16(_mm512_set1_epi32(less), _mm512_set1_epi32(offset)); }
    #define LIFTS 1
    #define vs_lifted(s) _mm512_add_epi32(s, _mm512_set1_epi32(0x4b400000))
    #define vt_of_lifted(s, q, sunk) _mm512_fmadd_ps(_mm512_castsi512_ps(s), q, sunk)
    #define vq_value(q, d) (q)
    #define vq_make(n, d) _mm512_mul_ps(n, d)
    #define vt_zero() vf_zero()
    #define vt_less(t, less, q, offset) _mm512_fmadd_ps(_mm512_set1_ps((float)(offset) * (less)), q, t)
    #define vt_more(t, s, q) _mm512_fmadd_ps(_mm512_cvtepi32_ps(s), q, t)
    #define vt_value(t, d) (t)
    #ifdef LG_AMX       /* tiles 0, 1: sums; 2, 3: activations; 4, 5: codes. (GCC 12's own words forget memory.) */
    #define TILED 1
    static const struct { uint8_t palette, start, rest[14]; uint16_t bytes[16]; uint8_t rows[16]; } tile_shapes = {
        1, 0, {0}, {64, 64, 32, 32, 64, 64}, {16, 16, 16, 16, 8, 8}};
    static inline void tiles_on(void) { __asm__ volatile("ldtilecfg %0" : : "m"(tile_shapes)); }
    static inline void tiles_off(void) { __asm__ volatile("tilerelease" : : : "memory"); }
    #define tile_steps(c, a, b) __asm__ volatile( \
        "tilezero %%tmm" #c "; tileloadd (%0,%1,1), %%tmm" #a "; tileloadd (%2,%3,1), %%tmm" #b "; " \
        "tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c "; tilestored %%tmm" #c ", (%4,%5,1)" \
        : : "r"(x), "r"(stride), "r"(codes), "r"(step), "r"(sums), "r"((ptrdiff_t)64) : "memory")
    static inline void tile_sums(int turn, const void *x, ptrdiff_t stride, const void *codes, ptrdiff_t step,
            void *sums) {
        if (turn) tile_steps(1, 3, 5);
        else tile_steps(0, 2, 4); }
    #endif
    """

include "words.pxi"
