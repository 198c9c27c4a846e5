# Attention in three visible steps, for whoever watches: scores, weights, mix. Rows are (heads, capacity); scores hold
# the scale already, and the cap and slopes.

cdef void op_scores(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: heads, capacity, window, both ways?; f: scale, cap; bias: slopes. Positions not to be seen get -inf."""
    cdef const Cache* c = op.cache
    cdef int group = op.n[0] // c.heads, capacity = op.n[1], run = 0, t, h, at, i, start, end
    cdef Py_ssize_t lo, hi, u
    cdef float query[MAX_HEAD]
    cdef const float* q[1]
    cdef const uint8_t* k
    cdef float* y
    share(<Py_ssize_t>step.n_tokens * op.n[0], tid, team, &lo, &hi)
    for u in range(lo, hi):
        t, h = <int>(u // op.n[0]), <int>(u % op.n[0])
        while t >= step.run_start[run + 1]:
            run += 1
        q[0] = op.a + t * op.a_stride + h * c.k_dim
        y = op.dst + t * op.dst_stride + <Py_ssize_t>h * capacity
        if quantized(c.kind):
            memcpy(query, q[0], c.k_dim * sizeof(float))
            hadamard(query, c.k_dim, KEY_GROUP, True)
            q[0] = query
        at, start = 0, first_seen(op, step.position[t])
        end = last_seen(op, step, run, step.position[t])
        while at < end:
            k = keys_at(c, page_of(c, step.run_seq[run], at), h // group, at % PAGE)
            if c.kind == TYPE_F16:
                scores(TYPE_F16, 1, q, k, c.k_dim, y + at)
            elif c.kind == TYPE_F32:
                scores(TYPE_F32, 1, q, k, c.k_dim, y + at)
            elif c.kind == TYPE_Q8_0:
                scores(TYPE_Q8_0, 1, q, k, c.k_dim, y + at)
            else:
                scores(TYPE_Q4_0, 1, q, k, c.k_dim, y + at)
            at += KEYS
        if bent(op):
            for i in range((end + PAGE - 1) // PAGE):
                bend(op, y + i * PAGE, h, i * PAGE, step.position[t])
        for i in range(capacity):
            y[i] = y[i] * (1 if bent(op) else op.f[0]) if start <= i < end else -INFINITY


cdef void op_softmax(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: heads, capacity; gain: sinks. Rows of scores to weights."""
    cdef int n = op.n[1], i, h
    cdef Py_ssize_t lo, hi, u
    cdef const float* x
    cdef float* y
    cdef float top
    cdef double sum
    share(<Py_ssize_t>step.n_tokens * op.n[0], tid, team, &lo, &hi)
    for u in range(lo, hi):
        h = <int>(u % op.n[0])
        x = op.a + u // op.n[0] * op.a_stride + h * n
        y = op.dst + u // op.n[0] * op.dst_stride + h * n
        top = op.gain[h] if op.gain != NULL else x[0]
        for i in range(n):
            top = max(top, x[i])
        sum = expf(op.gain[h] - top) if op.gain != NULL else 0
        for i in range(n):
            y[i] = expf(x[i] - top)
            sum += y[i]
        for i in range(n):
            y[i] = <float>(y[i] / sum)


cdef void op_mix(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: heads, capacity, window, both ways?. Weighted sums of values; dst rows are (heads, value_dim)."""
    cdef const Cache* c = op.cache
    cdef int group = op.n[0] // c.heads, run = 0, t, h, at, i, keys, end
    cdef Py_ssize_t lo, hi, u
    cdef const float* x
    cdef const uint8_t* v
    cdef float out[MAX_HEAD + KEYS]
    share(<Py_ssize_t>step.n_tokens * op.n[0], tid, team, &lo, &hi)
    for u in range(lo, hi):
        t, h = <int>(u // op.n[0]), <int>(u % op.n[0])
        while t >= step.run_start[run + 1]:
            run += 1
        x = op.a + t * op.a_stride + <Py_ssize_t>h * op.n[1]
        memset(out, 0, sizeof(out))
        at, end = 0, last_seen(op, step, run, step.position[t])
        while at < end:
            v = values_at(c, page_of(c, step.run_seq[run], at), h // group)
            keys = min(<int>PAGE, end - at)
            if c.kind == TYPE_F16:
                mix(TYPE_F16, 1, x + at, v, c.v_pad, keys, out)
            elif c.kind == TYPE_F32:
                mix(TYPE_F32, 1, x + at, v, c.v_pad, keys, out)
            elif c.kind == TYPE_Q8_0:
                mix(TYPE_Q8_0, 1, x + at, v, c.v_pad, keys, out)
            else:
                mix(TYPE_Q4_0, 1, x + at, v, c.v_pad, keys, out)
            at += PAGE
        if quantized(c.kind):
            hadamard(out, c.v_dim, VALUE_GROUP, True)
        for i in range(c.v_dim):
            op.dst[t * op.dst_stride + h * c.v_dim + i] = out[i]
