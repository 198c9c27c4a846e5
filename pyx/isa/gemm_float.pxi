# Products of float panels; gemm.pxi says which run.

cdef inline vf float_weights(int kind, const uint8_t* p) noexcept nogil:
    return vf_load(<const float*>p) if kind == 0 else vf_load_half(p) if kind == 1 else vf_load_bf16(p)


cdef inline void float_tile(int kind, int tokens, const uint8_t* p, int cols, const uint8_t* x, Py_ssize_t stride,
                            float* y) noexcept nogil:
    """The same for float panels (cols, LANES): kind 0 F32, 1 F16, 2 BF16.

    Two chains hide the latency of FMA; every 32 columns they are added to the total, which keeps rounding small.
    """
    cdef vf total[FLOAT_TILE]
    cdef vf even[FLOAT_TILE]
    cdef vf odd[FLOAT_TILE]
    cdef vf w
    cdef int i = 0, t, end, size = 4 * LANES if kind == 0 else 2 * LANES
    for t in range(tokens):
        total[t] = vf_zero()
    while i < cols:
        end = min(i + 32, cols)
        if tokens == 1:
            fetch_ahead(p, 32 * size)
        for t in range(tokens):
            even[t], odd[t] = vf_zero(), vf_zero()
        while i + 2 <= end:
            w = float_weights(kind, p)
            for t in range(tokens):
                even[t] = vf_fma(w, vf_set1((<const float*>(x + t * stride))[i]), even[t])
            w = float_weights(kind, p + size)
            for t in range(tokens):
                odd[t] = vf_fma(w, vf_set1((<const float*>(x + t * stride))[i + 1]), odd[t])
            p += 2 * size
            i += 2
        if i < end:
            w = float_weights(kind, p)
            for t in range(tokens):
                even[t] = vf_fma(w, vf_set1((<const float*>(x + t * stride))[i]), even[t])
            i += 1
        for t in range(tokens):
            total[t] = vf_add(total[t], vf_add(even[t], odd[t]))
    for t in range(tokens):
        vf_store(y + t * LANES, total[t])


cdef inline void float_tail(int kind, int tokens, const uint8_t* p, int cols, const uint8_t* x, Py_ssize_t stride,
                            float* y) noexcept nogil:
    cdef int t = 0
    while t + FLOAT_TILE <= tokens:
        float_tile(kind, FLOAT_TILE, p, cols, x + t * stride, stride, y + t * LANES)
        t += FLOAT_TILE
    while t + 2 <= tokens:
        float_tile(kind, 2, p, cols, x + t * stride, stride, y + t * LANES)
        t += 2
    if t < tokens:
        float_tile(kind, 1, p, cols, x + t * stride, stride, y + t * LANES)
