# Activations and other functions of single values. A model file names one, ACTS in lowering/acts.py numbers it.

cdef enum:
    SILU
    GELU             # the tanh form
    GELU_ERF         # the exact form
    GELU_QUICK
    RELU
    RELU_SQUARED
    XIELU            # f: alpha_n, alpha_p, beta, eps
    SOFTCAP          # f: cap
    CLAMP            # f: least, most
    SIGMOID
    TANH


cdef inline vf vexp(vf x) noexcept nogil:
    """e**x to about one unit in the last place; arguments below -87 give what -87 gives."""
    cdef vf n, r, p
    x = vf_min(vf_max(x, vf_set1(-87.0)), vf_set1(88.0))
    n = vf_round(vf_mul(x, vf_set1(1.44269504)))
    r = vf_fma(n, vf_set1(-0.693145752), x)              # ln 2 in two parts (Cody and Waite)
    r = vf_fma(n, vf_set1(-1.42860677e-6), r)
    p = vf_set1(1.9841270e-4)                            # 1/7!, 1/6!, ...
    p = vf_fma(p, r, vf_set1(1.3888889e-3))
    p = vf_fma(p, r, vf_set1(8.3333333e-3))
    p = vf_fma(p, r, vf_set1(4.1666667e-2))
    p = vf_fma(p, r, vf_set1(1.6666667e-1))
    p = vf_fma(p, r, vf_set1(0.5))
    p = vf_fma(p, r, vf_set1(1.0))
    p = vf_fma(p, r, vf_set1(1.0))
    return vf_scale2(p, n)


cdef inline vf vexpm1(vf x) noexcept nogil:
    """e**x - 1, exact to a few units in the last place near 0 too: 2**n (e**r - 1) + (2**n - 1)."""
    cdef vf n, r, p
    x = vf_min(vf_max(x, vf_set1(-87.0)), vf_set1(88.0))
    n = vf_round(vf_mul(x, vf_set1(1.44269504)))
    r = vf_fma(n, vf_set1(-0.693145752), x)
    r = vf_fma(n, vf_set1(-1.42860677e-6), r)
    p = vf_set1(1.9841270e-4)
    p = vf_fma(p, r, vf_set1(1.3888889e-3))
    p = vf_fma(p, r, vf_set1(8.3333333e-3))
    p = vf_fma(p, r, vf_set1(4.1666667e-2))
    p = vf_fma(p, r, vf_set1(1.6666667e-1))
    p = vf_fma(p, r, vf_set1(0.5))
    p = vf_fma(vf_mul(p, r), r, r)
    return vf_add(vf_scale2(p, n), vf_sub(vf_scale2(vf_set1(1.0), n), vf_set1(1.0)))


cdef inline vf vsigmoid(vf x) noexcept nogil:
    return vf_div(vf_set1(1.0), vf_add(vf_set1(1.0), vexp(vf_sub(vf_zero(), x))))


cdef inline vf vsilu(vf x) noexcept nogil:
    return vf_div(x, vf_add(vf_set1(1.0), vexp(vf_sub(vf_zero(), x))))


cdef inline vf vtanh(vf x) noexcept nogil:
    """(e**2x - 1) / (e**2x + 1)"""
    cdef vf e
    x = vf_min(x, vf_set1(20.0))
    e = vexpm1(vf_add(x, x))
    return vf_div(e, vf_add(e, vf_set1(2.0)))


cdef inline vf vgelu(vf x) noexcept nogil:
    """The tanh form of GELU."""
    cdef vf cube = vf_mul(vf_mul(x, x), x)
    cdef vf t = vtanh(vf_mul(vf_set1(0.7978845608), vf_fma(vf_set1(0.044715), cube, x)))
    return vf_mul(vf_mul(vf_set1(0.5), x), vf_add(vf_set1(1.0), t))


cdef inline vf vgelu_erf(vf x) noexcept nogil:
    """x times the normal distribution function: max(x, 0) - |x| erfc(|x| / sqrt 2) / 2.

    erfc(z) = e**(-z*z) * t * p(t) with t = 1 / (1 + z / 2) and p a least-maximum fit, to 1e-7 of erfc.
    """
    cdef vf size = vf_abs(x), z, t, p
    z = vf_mul(size, vf_set1(0.70710678))
    t = vf_div(vf_set1(1.0), vf_fma(vf_set1(0.5), z, vf_set1(1.0)))
    p = vf_set1(4.3116551520e-2)
    p = vf_fma(p, t, vf_set1(-2.3436090450e-1))
    p = vf_fma(p, t, vf_set1(4.9295179209e-1))
    p = vf_fma(p, t, vf_set1(-4.5416041194e-1))
    p = vf_fma(p, t, vf_set1(1.3164418264e-1))
    p = vf_fma(p, t, vf_set1(-5.8997987016e-2))
    p = vf_fma(p, t, vf_set1(9.3411202449e-2))
    p = vf_fma(p, t, vf_set1(1.7532290857e-1))
    p = vf_fma(p, t, vf_set1(2.4688410967e-1))
    p = vf_fma(p, t, vf_set1(2.8209376553e-1))
    p = vf_fma(p, t, vf_set1(2.8209479514e-1))
    p = vf_mul(vf_mul(p, t), vexp(vf_mul(vf_set1(-0.5), vf_mul(size, size))))
    return vf_sub(vf_max(x, vf_zero()), vf_mul(vf_mul(vf_set1(0.5), size), p))


cdef inline vf vxielu(vf x, const float* f) noexcept nogil:
    """alpha_p x**2 + beta x above 0, alpha_n (e**min(x, eps) - 1 - x) + beta x below (arXiv 2411.13010)."""
    cdef vf above = vf_max(x, vf_zero())
    cdef vf is_below = vf_sub(vf_set1(1.0), vf_min(vf_mul(above, vf_set1(1e30)), vf_set1(1.0)))
    cdef vf below = vf_sub(vexpm1(vf_min(x, vf_set1(f[3]))), vf_min(x, vf_zero()))
    cdef vf y = vf_mul(vf_mul(vf_set1(f[1]), above), above)
    y = vf_fma(vf_mul(vf_set1(f[0]), is_below), below, y)
    return vf_fma(vf_set1(f[2]), x, y)


cdef inline vf activate(int kind, vf x, const float* f) noexcept nogil:
    if kind == SILU:
        return vsilu(x)
    if kind == GELU:
        return vgelu(x)
    if kind == GELU_ERF:
        return vgelu_erf(x)
    if kind == GELU_QUICK:
        return vf_mul(x, vsigmoid(vf_mul(vf_set1(1.702), x)))
    if kind == RELU:
        return vf_max(x, vf_zero())
    if kind == RELU_SQUARED:
        x = vf_max(x, vf_zero())
        return vf_mul(x, x)
    if kind == XIELU:
        return vxielu(x, f)
    if kind == SOFTCAP:
        return vf_mul(vf_set1(f[0]), vtanh(vf_mul(x, vf_set1(1 / f[0]))))
    if kind == CLAMP:
        return vf_min(vf_max(x, vf_set1(f[0])), vf_set1(f[1]))
    return vsigmoid(x) if kind == SIGMOID else vtanh(x)
