# What every quantizer needs: half-precision scales, and values of the order of one.

cdef extern from * nogil:
    """
    /* Nearest half-precision number, ties to even; beyond the largest, the largest. */
    static inline uint16_t lg_to_half(float value) {
        uint32_t bits, sign, size;
        float rest;
        memcpy(&bits, &value, 4);
        sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
        if (size >= 0x477fe000) return (uint16_t)(sign | 0x7bff);
        if (size < 0x38800000) {                /* below 2**-14: a multiple of 2**-24 */
            memcpy(&rest, &size, 4);
            rest += 0.5f;
            memcpy(&size, &rest, 4);
            return (uint16_t)(sign | (size - 0x3f000000));
        }
        return (uint16_t)(sign | (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13);
    }

    /* Nearest bfloat16 number, ties to even; beyond the largest, the largest. */
    static inline uint16_t lg_to_bfloat(float value) {
        uint32_t bits;
        memcpy(&bits, &value, 4);
        if ((bits & 0x7fffffff) >= 0x7f7f8000) return (uint16_t)(bits >> 16 & 0x8000) | 0x7f7f;
        return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }

    /* Nearest whole number of |x| < 2**22, ties to even, without a call. */
    static inline int lg_whole(float x) { return (int)((x + 12582912.0f) - 12582912.0f); }

    /* 2**n, -126 <= n <= 127 */
    static inline float lg_power(int n) {
        uint32_t bits = (uint32_t)(n + 127) << 23;
        float value;
        memcpy(&value, &bits, 4);
        return value;
    }

    /* n with 2**n <= x < 2**(n + 1) for normal x > 0; -127 for smaller ones */
    static inline int lg_exponent_of(float x) {
        uint32_t bits;
        memcpy(&bits, &x, 4);
        return (int)(bits >> 23) - 127;
    }
    """
    float power "lg_power"(int n)
    int exponent_of "lg_exponent_of"(float x)
    uint16_t to_half "lg_to_half"(float value)
    uint16_t to_bfloat "lg_to_bfloat"(float value)
    int whole "lg_whole"(float x)


cdef inline float largest(const float* x, int n) noexcept nogil:
    """The largest size; n is a multiple of LANES."""
    cdef vf most = vf_zero()
    cdef int j
    for j in range(n // LANES):
        most = vf_max(most, vf_abs(vf_load(x + j * LANES)))
    return vf_top(most)


cdef inline float tame(const float* x, int n, float* y) noexcept nogil:
    """y = x * p, p the power of two that brings the largest value near one; returns 1 / p, exact, or 0 for zeros.

    Squares of huge or tiny values would leave the range of float32.
    """
    cdef float most = largest(x, n), p
    cdef int j
    if most == 0:
        memset(y, 0, n * sizeof(float))
        return 0
    p = power(max(-126, min(120, -exponent_of(most))))
    for j in range(n):
        y[j] = x[j] * p
    return 1 / p


cdef inline int code_near(float y, int low, int high) noexcept nogil:
    """The nearest of the whole numbers low ... high."""
    y = y if y > low else <float>low
    return whole(y if y < high else <float>high)


cdef inline float inverse_of(float d) noexcept nogil:
    """1 / d, or 0: with a scale of nothing every code means zero."""
    return 1 / d if d != 0 else <float>0
