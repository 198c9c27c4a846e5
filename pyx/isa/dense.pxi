# Records of dense models beyond those of ops.pxi.

cdef inline void norm_row(const float* x, const float* gain, const float* bias, float* y, int n,
                          float eps) noexcept nogil:
    """(x - mean) / sqrt(variance + eps), then gain and bias where there are such."""
    cdef vf total = vf_zero(), squares = vf_zero(), v
    cdef float sum, mean, scale
    cdef int i, vectors = n // LANES
    for i in range(vectors):
        total = vf_add(total, vf_load(x + i * LANES))
    sum = vf_sum(total)
    for i in range(vectors * LANES, n):
        sum += x[i]
    mean = sum / n
    for i in range(vectors):
        v = vf_sub(vf_load(x + i * LANES), vf_set1(mean))
        squares = vf_fma(v, v, squares)
    sum = vf_sum(squares)
    for i in range(vectors * LANES, n):
        sum += (x[i] - mean) * (x[i] - mean)
    scale = 1 / sqrtf(sum / n + eps)
    for i in range(vectors):
        v = vf_mul(vf_sub(vf_load(x + i * LANES), vf_set1(mean)), vf_set1(scale))
        if gain != NULL:
            v = vf_mul(v, vf_load(gain + i * LANES))
        vf_store(y + i * LANES, vf_add(v, vf_load(bias + i * LANES)) if bias != NULL else v)
    for i in range(vectors * LANES, n):
        y[i] = (x[i] - mean) * scale * (gain[i] if gain != NULL else 1) + (bias[i] if bias != NULL else 0)


cdef void op_layer_norm(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: heads (each is normed alone), values from one head's gain to the next's (0: the same for all); f: eps."""
    cdef int heads = op.n[0], size = op.width // op.n[0], h
    cdef Py_ssize_t lo, hi, t
    cdef const float* gain
    cdef float* y
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        y = op.dst + t * op.dst_stride
        for h in range(heads):
            gain = op.gain + h * op.n[1] if op.gain != NULL else NULL
            norm_row(op.a + t * op.a_stride + h * size, gain, op.bias, y + h * size, size, op.f[0])
        if op.q != NULL:
            leave_copy(op, y, t, 0, op.width // BLOCK)


cdef void op_position(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """The row of a table that belongs to each position."""
    cdef Py_ssize_t lo, hi, t
    share(step.n_tokens, tid, team, &lo, &hi)
    for t in range(lo, hi):
        op.expand(op.raw + step.position[t] * op.raw_stride, op.dst + t * op.dst_stride, op.width)


cdef void op_temper(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """Rows times 1 + f[0] * ln(1 + floor((position + n[1]) / n[0]))."""
    cdef Py_ssize_t lo, hi, t
    cdef int i
    cdef float by
    share(step.n_tokens, tid, team, &lo, &hi)
    for t in range(lo, hi):
        by = <float>(1 + op.f[0] * log(1.0 + (step.position[t] + op.n[1]) // op.n[0]))
        for i in range(op.width):
            op.dst[t * op.dst_stride + i] = op.a[t * op.a_stride + i] * by
