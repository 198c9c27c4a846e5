"""The vocabulary of kernel bodies in NEON, with dot products where the compiler has them: eight lanes."""
cdef extern from * nogil:
    """
    #include <arm_neon.h>
    #include <stdint.h>
    #include <string.h>
    #ifdef __GNUC__
    #define prefetch(p) __builtin_prefetch(p)
    #else
    #define prefetch(p)
    #endif
    #define LANES 8
    #define TILE 4
    #define FLOAT_TILE 4
    #define ROWS 4
    #define Q8_OFFSET 0
    #define Q5_OFFSET 0
    #define SPREADS 0
    #define MEET 2
    #define DOT_LIMIT 0
    typedef float32x4x2_t vf;
    typedef uint8x16x2_t vu;
    typedef int32x4x2_t vs;
    typedef float32x4x2_t vq;
    typedef float32x4x2_t vt;
    #define BOTH(type, e0, e1) ((type){{e0, e1}})
    static inline vf vf_set1(float x) { return BOTH(vf, vdupq_n_f32(x), vdupq_n_f32(x)); }
    static inline vf vf_zero(void) { return vf_set1(0.0f); }
    static inline vf vf_load(const float *p) { return BOTH(vf, vld1q_f32(p), vld1q_f32(p + 4)); }
    static inline void vf_store(float *p, vf a) { vst1q_f32(p, a.val[0]); vst1q_f32(p + 4, a.val[1]); }
    #define PAIR(name, op) static inline vf name(vf a, vf b) { \\
        return BOTH(vf, op(a.val[0], b.val[0]), op(a.val[1], b.val[1])); }
    PAIR(vf_add, vaddq_f32)
    PAIR(vf_sub, vsubq_f32)
    PAIR(vf_mul, vmulq_f32)
    PAIR(vf_div, vdivq_f32)
    PAIR(vf_max, vmaxq_f32)
    PAIR(vf_min, vminq_f32)
    static inline vf vf_fma(vf a, vf b, vf c) {
        return BOTH(vf, vfmaq_f32(c.val[0], a.val[0], b.val[0]), vfmaq_f32(c.val[1], a.val[1], b.val[1])); }
    static inline vf vf_abs(vf a) { return BOTH(vf, vabsq_f32(a.val[0]), vabsq_f32(a.val[1])); }
    static inline float vf_sum(vf a) { return vaddvq_f32(vaddq_f32(a.val[0], a.val[1])); }
    static inline float vf_top(vf a) { return vmaxvq_f32(vmaxq_f32(a.val[0], a.val[1])); }
    static inline vf vf_round(vf a) { return BOTH(vf, vrndnq_f32(a.val[0]), vrndnq_f32(a.val[1])); }
    #define vf_near(a) vf_round(a)
    static inline float32x4_t above4(float32x4_t a, float32x4_t t, float32x4_t s) {
        return vreinterpretq_f32_u32(vandq_u32(vcgtq_f32(a, t), vreinterpretq_u32_f32(s))); }
    static inline vf vf_above(vf a, vf t, vf s) {
        return BOTH(vf, above4(a.val[0], t.val[0], s.val[0]), above4(a.val[1], t.val[1], s.val[1])); }
    #define PICK(i) vbslq_f32(vcgtq_f32(a.val[i], t.val[i]), x.val[i], y.val[i])
    static inline vf vf_pick(vf a, vf t, vf x, vf y) { return BOTH(vf, PICK(0), PICK(1)); }
    static inline vf vf_load_half(const void *p) {
        float16x8_t h = vreinterpretq_f16_u16(vld1q_u16((const uint16_t *)p));
        return BOTH(vf, vcvt_f32_f16(vget_low_f16(h)), vcvt_f32_f16(vget_high_f16(h))); }
    static inline void vf_store_half(void *p, vf a) {
        vst1q_u16((uint16_t *)p, vreinterpretq_u16_f16(vcombine_f16(vcvt_f16_f32(a.val[0]), vcvt_f16_f32(a.val[1])))); }
    static inline vf vf_load_bf16(const void *p) {
        uint16x8_t h = vld1q_u16((const uint16_t *)p);
        return BOTH(vf, vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(h), 16)),
            vreinterpretq_f32_u32(vshll_n_u16(vget_high_u16(h), 16))); }
    static inline vf vf_load_u8(const void *p) {
        uint16x8_t h = vmovl_u8(vld1_u8((const uint8_t *)p));
        return BOTH(vf, vcvtq_f32_u32(vmovl_u16(vget_low_u16(h))), vcvtq_f32_u32(vmovl_u16(vget_high_u16(h)))); }
    static inline vf vf_load_i8(const void *p) {
        int16x8_t h = vmovl_s8(vld1_s8((const int8_t *)p));
        return BOTH(vf, vcvtq_f32_s32(vmovl_s16(vget_low_s16(h))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(h)))); }
    static inline void vf_store_i8(void *p, vf a) {
        int16x8_t h = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(a.val[0])), vqmovn_s32(vcvtnq_s32_f32(a.val[1])));
        vst1_s8((int8_t *)p, vqmovn_s16(h)); }
    static inline float32x4_t scale2(float32x4_t a, float32x4_t n) {
        return vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23))); }
    static inline vf vf_scale2(vf a, vf n) { return BOTH(vf, scale2(a.val[0], n.val[0]), scale2(a.val[1], n.val[1])); }
    static inline vf vf_load_u4(const void *p, int shift) {
        uint8x8_t b = vand_u8(vshl_u8(vld1_u8((const uint8_t *)p), vdup_n_s8((int8_t)-shift)), vdup_n_u8(15));
        uint16x8_t h = vmovl_u8(b);
        return BOTH(vf, vcvtq_f32_u32(vmovl_u16(vget_low_u16(h))), vcvtq_f32_u32(vmovl_u16(vget_high_u16(h)))); }
    static inline vf vf_load_i4(const void *p, int shift) {
        int8x8_t b = vld1_s8((const int8_t *)p);
        int16x8_t h = vmovl_s8(vshr_n_s8(shift ? b : vshl_n_s8(b, 4), 4));
        return BOTH(vf, vcvtq_f32_s32(vmovl_s16(vget_low_s16(h))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(h)))); }
    static inline vf vf_load_e8m0(const void *p) {
        uint16x8_t h = vmovl_u8(vqsub_u8(vld1_u8((const uint8_t *)p), vdup_n_u8(1)));
        return BOTH(vf, vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vget_low_u16(h)), 23)),
            vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vget_high_u16(h)), 23))); }
    static inline vf vf_load_e4m3(const void *p) {          /* a half holds 2**-8 of it */
        float16x8_t h = vreinterpretq_f16_u16(vshll_n_u8(vld1_u8((const uint8_t *)p), 7));
        return BOTH(vf, vmulq_n_f32(vcvt_f32_f16(vget_low_f16(h)), 128), vmulq_n_f32(vcvt_f32_f16(vget_high_f16(h)),
            128)); }
    static inline vu vu_load(const void *p) {
        return BOTH(vu, vld1q_u8((const uint8_t *)p), vld1q_u8((const uint8_t *)p + 16)); }
    static inline void vu_store(void *p, vu a) {
        vst1q_u8((uint8_t *)p, a.val[0]); vst1q_u8((uint8_t *)p + 16, a.val[1]); }
    static inline vu vu_load_each(const void *p) {
        uint8x8_t b = vld1_u8((const uint8_t *)p);
        uint8x16_t twice = vcombine_u8(vzip1_u8(b, b), vzip2_u8(b, b));
        return BOTH(vu, vzip1q_u8(twice, twice), vzip2q_u8(twice, twice)); }
    static inline vu vu_and(vu a, int byte) {
        uint8x16_t m = vdupq_n_u8((uint8_t)byte); return BOTH(vu, vandq_u8(a.val[0], m), vandq_u8(a.val[1], m)); }
    static inline vu vu_or(vu a, vu b) { return BOTH(vu, vorrq_u8(a.val[0], b.val[0]), vorrq_u8(a.val[1], b.val[1])); }
    static inline vu vu_shl(vu a, int n) {
        int8x16_t k = vdupq_n_s8((int8_t)n); return BOTH(vu, vshlq_u8(a.val[0], k), vshlq_u8(a.val[1], k)); }
    static inline vu vu_shr(vu a, int n) { return vu_shl(a, -n); }
    static inline vu vu_points(const uint8_t *table, vu u) {
        uint8x16_t t = vld1q_u8(table);
        return BOTH(vu, vqtbl1q_u8(t, u.val[0]), vqtbl1q_u8(t, u.val[1])); }
    static inline vs vs_zero(void) { return BOTH(vs, vdupq_n_s32(0), vdupq_n_s32(0)); }
    static inline int8x16_t four(const void *p) {
        int32_t x; memcpy(&x, p, 4); return vreinterpretq_s8_s32(vdupq_n_s32(x)); }
    static inline int32x4_t dot4(int32x4_t s, int8x16_t w, int8x16_t x) {
    #ifdef __ARM_FEATURE_DOTPROD
        return vdotq_s32(s, w, x);
    #else
        int16x8_t lo = vmull_s8(vget_low_s8(w), vget_low_s8(x)), hi = vmull_s8(vget_high_s8(w), vget_high_s8(x));
        return vaddq_s32(s, vpaddq_s32(vpaddlq_s16(lo), vpaddlq_s16(hi)));
    #endif
    }
    static inline vs vs_dot(vs s, vu u, const void *x) {
        int8x16_t b = four(x);
        return BOTH(vs, dot4(s.val[0], vreinterpretq_s8_u8(u.val[0]), b), dot4(s.val[1],
            vreinterpretq_s8_u8(u.val[1]), b)); }
    #define vs_dot8(s, u, x) vs_dot(s, u, x)
    static inline vu vu_less(vu a, int n) {
        uint8x16_t k = vdupq_n_u8((uint8_t)n); return BOTH(vu, vsubq_u8(a.val[0], k), vsubq_u8(a.val[1], k)); }
    static inline vu vu_four(const void *p) {
        uint8x16_t b = vreinterpretq_u8_s8(four(p)); return BOTH(vu, b, b); }
    #define vu_held(u) (u)
    static inline vs vs_raised(vs s, vu x, vu u) {       /* lowered again, so that nothing is to be taken off */
        uint8x16_t k = vdupq_n_u8(128);
        return BOTH(vs, dot4(s.val[0], vreinterpretq_s8_u8(u.val[0]), vreinterpretq_s8_u8(veorq_u8(x.val[0], k))),
            dot4(s.val[1], vreinterpretq_s8_u8(u.val[1]), vreinterpretq_s8_u8(veorq_u8(x.val[1], k)))); }
    #define vs_unraised(s, u) (s)
    static inline int32_t less_sums(const void *x) { return -vaddlvq_s8(vld1q_s8((const int8_t *)x)); }
    static inline int32_t less_both(int32_t a, int32_t b) { return a + b; }
    static inline float less_total(int32_t a) { return (float)a; }
    static inline vs vs_start(int32_t less, int offset) {
        return BOTH(vs, vdupq_n_s32(less * offset), vdupq_n_s32(less * offset)); }
    #define vq_make(n, d) vf_mul(n, d)
    #define vt_zero() vf_zero()
    static inline vt vt_less(vt t, int32_t less, vq q, int offset) {
        return vf_fma(vf_set1((float)(less * offset)), q, t); }
    static inline vf of_whole(vs a) { return BOTH(vf, vcvtq_f32_s32(a.val[0]), vcvtq_f32_s32(a.val[1])); }
    #define vt_more(t, s, q) vf_fma(of_whole(s), q, t)
    #define vt_value(t, d) (t)
    """

include "words.pxi"
