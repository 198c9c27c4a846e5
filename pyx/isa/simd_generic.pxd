"""The vocabulary of kernel bodies in plain C, for any machine: eight lanes that a compiler may turn into vectors."""
cdef extern from * nogil:
    """
    #include <math.h>
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
    #define ROWS 2
    #define Q8_OFFSET 0
    #define Q5_OFFSET 0
    #define SPREADS 0
    #define MEET 2
    #define DOT_LIMIT 0
    #define EACH for (int i = 0; i < LANES; i++)
    typedef struct { float v[LANES]; } vf;
    typedef struct { uint8_t v[4 * LANES]; } vu;
    typedef struct { int32_t v[LANES]; } vs;
    typedef vf vq;
    typedef vf vt;
    static inline vf vf_set1(float x) { vf r; EACH r.v[i] = x; return r; }
    static inline vf vf_zero(void) { return vf_set1(0.0f); }
    static inline vf vf_load(const float *p) { vf r; memcpy(r.v, p, sizeof r.v); return r; }
    static inline void vf_store(float *p, vf a) { memcpy(p, a.v, sizeof a.v); }
    static inline vf vf_add(vf a, vf b) { EACH a.v[i] += b.v[i]; return a; }
    static inline vf vf_sub(vf a, vf b) { EACH a.v[i] -= b.v[i]; return a; }
    static inline vf vf_mul(vf a, vf b) { EACH a.v[i] *= b.v[i]; return a; }
    static inline vf vf_div(vf a, vf b) { EACH a.v[i] /= b.v[i]; return a; }
    static inline vf vf_max(vf a, vf b) { EACH a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i]; return a; }
    static inline vf vf_min(vf a, vf b) { EACH a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i]; return a; }
    static inline vf vf_fma(vf a, vf b, vf c) { EACH c.v[i] += a.v[i] * b.v[i]; return c; }
    static inline vf vf_abs(vf a) { EACH a.v[i] = fabsf(a.v[i]); return a; }
    static inline float vf_sum(vf a) { float s = 0; EACH s += a.v[i]; return s; }
    static inline float vf_top(vf a) { float s = a.v[0]; EACH s = a.v[i] > s ? a.v[i] : s; return s; }
    static inline vf vf_round(vf a) { EACH a.v[i] = nearbyintf(a.v[i]); return a; }
    static inline vf vf_near(vf a) { EACH a.v[i] = (a.v[i] + 12582912.0f) - 12582912.0f; return a; }
    static inline vf vf_above(vf a, vf t, vf s) { EACH a.v[i] = a.v[i] > t.v[i] ? s.v[i] : 0; return a; }
    static inline vf vf_pick(vf a, vf t, vf x, vf y) { EACH y.v[i] = a.v[i] > t.v[i] ? x.v[i] : y.v[i]; return y; }
    static inline float word_float(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }
    static inline uint32_t float_word(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }
    static inline float from_half(uint16_t h) {
        uint32_t sign = (uint32_t)(h & 0x8000) << 16, mag = h & 0x7fff;
        if (mag >= 0x7c00) return word_float(sign | 0x7f800000 | (mag & 0x3ff) << 13);
        if (mag >= 0x0400) return word_float(sign | ((mag << 13) + 0x38000000));
        return word_float(sign | float_word((float)mag * 5.9604644775390625e-8f)); }
    static inline uint16_t to_half(float f) {               /* nearest, ties to even */
        uint32_t u = float_word(f), sign = u >> 16 & 0x8000, mag = u & 0x7fffffff;
        if (mag >= 0x7f800000) return sign | 0x7c00 | (mag > 0x7f800000 ? 0x200 : 0);
        if (mag >= 0x477ff000) return sign | 0x7c00;
        if (mag < 0x38800000) return sign | (uint16_t)(float_word(word_float(mag) + 0.5f) - 0x3f000000);
        return sign | (mag - 0x38000000 + 0xfff + (mag >> 13 & 1)) >> 13; }
    static inline vf vf_load_half(const void *p) {
        uint16_t h[LANES]; vf r; memcpy(h, p, sizeof h); EACH r.v[i] = from_half(h[i]); return r; }
    static inline void vf_store_half(void *p, vf a) {
        uint16_t h[LANES]; EACH h[i] = to_half(a.v[i]); memcpy(p, h, sizeof h); }
    static inline vf vf_load_bf16(const void *p) {
        uint16_t h[LANES]; vf r; memcpy(h, p, sizeof h); EACH r.v[i] = word_float((uint32_t)h[i] << 16); return r; }
    static inline vf vf_load_u8(const void *p) { vf r; EACH r.v[i] = ((const uint8_t *)p)[i]; return r; }
    static inline vf vf_load_i8(const void *p) { vf r; EACH r.v[i] = ((const int8_t *)p)[i]; return r; }
    static inline void vf_store_i8(void *p, vf a) { EACH ((int8_t *)p)[i] = (int8_t)nearbyintf(a.v[i]); }
    static inline vf vf_scale2(vf a, vf n) {
        EACH a.v[i] *= word_float((uint32_t)((int32_t)n.v[i] + 127) << 23); return a; }
    static inline vf vf_load_u4(const void *p, int shift) {
        vf r; EACH r.v[i] = ((const uint8_t *)p)[i] >> shift & 15; return r; }
    static inline vf vf_load_i4(const void *p, int shift) {
        vf r; EACH r.v[i] = (float)(((((const uint8_t *)p)[i] >> shift & 15) ^ 8) - 8); return r; }
    static inline vf vf_load_e8m0(const void *p) {
        vf r; EACH { uint32_t e = ((const uint8_t *)p)[i]; r.v[i] = word_float((e ? e - 1 : 0) << 23); } return r; }
    static inline vf vf_load_e4m3(const void *p) {          /* a half holds 2**-8 of it */
        vf r; EACH r.v[i] = 128 * from_half((uint16_t)(((const uint8_t *)p)[i] << 7)); return r; }
    static inline vu vu_load(const void *p) { vu r; memcpy(r.v, p, sizeof r.v); return r; }
    static inline void vu_store(void *p, vu a) { memcpy(p, a.v, sizeof a.v); }
    static inline vu vu_load_each(const void *p) {
        vu r; for (int i = 0; i < 4 * LANES; i++) r.v[i] = ((const uint8_t *)p)[i / 4]; return r; }
    static inline vu vu_and(vu a, int byte) { for (int i = 0; i < 4 * LANES; i++) a.v[i] &= byte; return a; }
    static inline vu vu_or(vu a, vu b) { for (int i = 0; i < 4 * LANES; i++) a.v[i] |= b.v[i]; return a; }
    static inline vu vu_shr(vu a, int n) { for (int i = 0; i < 4 * LANES; i++) a.v[i] >>= n; return a; }
    static inline vu vu_shl(vu a, int n) { for (int i = 0; i < 4 * LANES; i++) a.v[i] <<= n; return a; }
    static inline vu vu_points(const uint8_t *table, vu u) {
        for (int i = 0; i < 4 * LANES; i++) u.v[i] = table[u.v[i]];
        return u; }
    static inline vs vs_zero(void) { vs r; EACH r.v[i] = 0; return r; }
    static inline vs vs_dot(vs s, vu u, const void *x) {
        const int8_t *b = (const int8_t *)x;
        EACH s.v[i] += u.v[4*i] * b[0] + u.v[4*i+1] * b[1] + u.v[4*i+2] * b[2] + u.v[4*i+3] * b[3];
        return s; }
    static inline vs vs_dot8(vs s, vu u, const void *x) {
        const int8_t *b = (const int8_t *)x, *w = (const int8_t *)u.v;
        EACH s.v[i] += w[4*i] * b[0] + w[4*i+1] * b[1] + w[4*i+2] * b[2] + w[4*i+3] * b[3];
        return s; }
    static inline vu vu_less(vu u, int n) {
        for (int i = 0; i < 4 * LANES; i++) u.v[i] = (uint8_t)(u.v[i] - n);
        return u; }
    static inline vu vu_four(const void *p) {
        vu r;
        for (int i = 0; i < LANES; i++) memcpy(r.v + 4 * i, p, 4);
        return r; }
    #define vu_held(u) (u)
    static inline vs vs_raised(vs s, vu x, vu u) {
        for (int i = 0; i < 4 * LANES; i++) s.v[i / 4] += x.v[i] * (int8_t)u.v[i];
        return s; }
    static inline vs vs_unraised(vs s, vu u) {
        for (int i = 0; i < 4 * LANES; i++) s.v[i / 4] -= 128 * (int8_t)u.v[i];
        return s; }
    static inline int32_t less_sums(const void *x) {
        int32_t s = 0; for (int i = 0; i < 16; i++) s -= ((const int8_t *)x)[i]; return s; }
    static inline int32_t less_both(int32_t a, int32_t b) { return a + b; }
    static inline float less_total(int32_t a) { return (float)a; }
    static inline vs vs_start(int32_t less, int offset) { vs r; EACH r.v[i] = less * offset; return r; }
    static inline vq vq_make(vf n, vf d) { return vf_mul(n, d); }
    #define vt_zero() vf_zero()
    static inline vt vt_less(vt t, int32_t less, vq q, int offset) {
        return vf_fma(vf_set1((float)(less * offset)), q, t); }
    static inline vt vt_more(vt t, vs s, vq q) { EACH t.v[i] += (float)s.v[i] * q.v[i]; return t; }
    #define vt_value(t, d) (t)
    """

include "words.pxi"
