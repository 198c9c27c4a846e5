# Recurrent layers. A unit of work is UNIT columns of a state: nobody else touches them, and each sum over its rows is
# made in one order. A unit's part of a state stands together: (rows, UNIT), so that no two rows meet in a cache.
# Where a run begins at position 0 its states are zero, whatever stands in them.

cdef enum:
    UNIT = 32                # columns of one unit
    UNIT_VECTORS = UNIT // LANES


cdef inline vf vsoftplus(vf x) noexcept nogil:
    """max(x, 0) + log(1 + e), e = e**-|x|: with s = e / (2 + e) the logarithm is 2 (s + s**3 / 3 + s**5 / 5 + ...)."""
    cdef vf e = vexp(vf_sub(vf_zero(), vf_abs(x))), s, square, p
    s = vf_div(e, vf_add(e, vf_set1(2.0)))
    square = vf_mul(s, s)
    p = vf_set1(2.0 / 15)
    p = vf_fma(p, square, vf_set1(2.0 / 13))
    p = vf_fma(p, square, vf_set1(2.0 / 11))
    p = vf_fma(p, square, vf_set1(2.0 / 9))
    p = vf_fma(p, square, vf_set1(2.0 / 7))
    p = vf_fma(p, square, vf_set1(2.0 / 5))
    p = vf_fma(p, square, vf_set1(2.0 / 3))
    p = vf_fma(p, square, vf_set1(2.0))
    return vf_add(vf_max(x, vf_zero()), vf_mul(p, s))


cdef inline int vectors_of(Py_ssize_t columns) noexcept nogil:
    """Vectors that hold the first `columns` of a unit."""
    return <int>(min(columns, <Py_ssize_t>UNIT) + LANES - 1) // LANES


cdef inline void put(float* y, vf v, Py_ssize_t n) noexcept nogil:
    """The first n lanes, where what follows is somebody else's."""
    cdef float part[LANES]
    cdef int i
    if n >= LANES:
        vf_store(y, v)
    else:
        vf_store(part, v)
        for i in range(<int>n):
            y[i] = part[i]


cdef void op_softplus(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """bias: NULL, or padded to whole vectors like the rows."""
    cdef Py_ssize_t units = (op.width + UNIT - 1) // UNIT, lo, hi, u, at, end
    cdef const float* x
    cdef float* y
    cdef vf v
    share(rows_of(op, step) * units, tid, team, &lo, &hi)
    for u in range(lo, hi):
        x, y, at = op.a + u // units * op.a_stride, op.dst + u // units * op.dst_stride, u % units * UNIT
        end = min(at + <Py_ssize_t>UNIT, <Py_ssize_t>op.width)
        while at < end:
            v = vf_load(x + at)
            if op.bias != NULL:
                v = vf_add(v, vf_load(op.bias + at))
            vf_store(y + at, vsoftplus(v))
            at += LANES


cdef void op_l2_norm(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: heads; f: eps."""
    cdef int heads = op.n[0], size = op.width // op.n[0], i
    cdef Py_ssize_t lo, hi, u
    cdef const float* x
    cdef float* y
    cdef float total
    cdef vf squares, v
    share(rows_of(op, step) * <Py_ssize_t>heads, tid, team, &lo, &hi)
    for u in range(lo, hi):
        x = op.a + u // heads * op.a_stride + u % heads * size
        y = op.dst + u // heads * op.dst_stride + u % heads * size
        squares = vf_zero()
        for i in range(size // LANES):
            v = vf_load(x + i * LANES)
            squares = vf_fma(v, v, squares)
        total = vf_sum(squares)
        for i in range(size // LANES * LANES, size):
            total += x[i] * x[i]
        total = 1 / sqrtf(total + op.f[0])
        for i in range(size):
            y[i] = x[i] * total


cdef inline const float* input_of(const Op* op, const float* state, int t, int first, bint fresh,
                                  Py_ssize_t pad) noexcept nogil:
    """Row t of what a convolution reads: of this step or, before its row `first`, of the state; NULL: zeros."""
    if t >= first:
        return op.a + t * op.a_stride
    if fresh:
        return NULL
    return state + (op.n[0] - 1 + t - first) * pad


cdef inline vf convolve(const Op* op, const float** rows, Py_ssize_t at, Py_ssize_t pad) noexcept nogil:
    """One row of some channels: the sum over taps, oldest first, bias and activation."""
    cdef vf v = vf_zero()
    cdef int i
    for i in range(op.n[0]):
        if rows[i] != NULL:
            v = vf_fma(vf_load(rows[i] + at), vf_load(op.gain + i * pad + at), v)
    if op.bias != NULL:
        v = vf_add(v, vf_load(op.bias + at))
    return v if op.n[1] < 0 else activate(op.n[1], v, op.f)


cdef void op_conv(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: taps, activation or -1. gain: (taps, whole units of channels); the state: the last taps - 1 rows of input."""
    cdef Py_ssize_t units = (op.width + UNIT - 1) // UNIT, pad = units * UNIT, lo, hi, u, at
    cdef int taps = op.n[0], run, t, i, first, end, j
    cdef bint fresh
    cdef float* state
    cdef float* y
    cdef const float* rows[MAX_TAPS]
    share(units, tid, team, &lo, &hi)
    for run in range(step.n_runs):
        first, end = step.run_start[run], step.run_start[run + 1]
        state, fresh = op.scratch + step.run_seq[run] * op.scratch_stride, step.position[first] == 0
        for t in range(first, end):
            y = op.dst + t * op.dst_stride
            for i in range(taps):
                rows[i] = input_of(op, state, t - taps + 1 + i, first, fresh, pad)
            for u in range(lo, hi):
                for j in range(vectors_of(op.width - u * UNIT)):
                    at = u * UNIT + j * LANES
                    vf_store(y + at, convolve(op, rows, at, pad))
                if op.q != NULL:
                    leave_copy(op, y, t, u, u + 1)
        for i in range(taps - 1):      # upwards: rows of the state move down
            rows[0] = input_of(op, state, end - taps + 1 + i, first, fresh, pad)
            for u in range(lo, hi):
                if rows[0] == NULL:
                    memset(state + i * pad + u * UNIT, 0, UNIT * sizeof(float))
                else:
                    memmove(state + i * pad + u * UNIT, rows[0] + u * UNIT,
                            min(<Py_ssize_t>UNIT, op.width - u * UNIT) * sizeof(float))


cdef inline void scan_each(const Op* op, int t, Py_ssize_t at, int rows, const float* a, float* s) noexcept nogil:
    """One token of some channels that have a rate of decay for each number of their state."""
    cdef vf dt[UNIT_VECTORS]
    cdef vf step_x[UNIT_VECTORS]
    cdef vf y[UNIT_VECTORS]
    cdef vf v
    cdef int i, j, n = vectors_of(op.width - at)
    cdef const float* b = op.c + t * op.c_stride
    cdef const float* c = op.d + t * op.d_stride
    cdef const float* x = op.a + t * op.a_stride + at
    for j in range(n):
        dt[j] = vf_load(op.b + t * op.b_stride + at + j * LANES)
        step_x[j] = vf_mul(dt[j], vf_load(x + j * LANES))
        y[j] = vf_mul(vf_load(op.bias + at + j * LANES), vf_load(x + j * LANES))
    for i in range(rows):
        for j in range(n):
            v = vf_mul(vf_load(s + i * UNIT + j * LANES), vexp(vf_mul(dt[j], vf_load(a + i * UNIT + j * LANES))))
            v = vf_fma(step_x[j], vf_set1(b[i]), v)
            vf_store(s + i * UNIT + j * LANES, v)
            y[j] = vf_fma(v, vf_set1(c[i]), y[j])
    for j in range(n):
        vf_store(op.dst + t * op.dst_stride + at + j * LANES, y[j])


cdef inline void scan_head(const Op* op, int t, int head, Py_ssize_t at, int rows, int n, float* s) noexcept nogil:
    """One token of `n` vectors of columns of a head, which decay alike."""
    cdef int size = op.width // op.n[0], group = head // (op.n[0] // op.n[1]), i, j
    cdef Py_ssize_t from_column = head * size + at
    cdef const float* x = op.a + t * op.a_stride + from_column
    cdef const float* b = op.c + t * op.c_stride + group * rows
    cdef const float* c = op.d + t * op.d_stride + group * rows
    cdef float dt = op.b[t * op.b_stride + head]
    cdef vf decay = vexp(vf_set1(dt * op.gain[head])), v
    cdef vf step_x[UNIT_VECTORS]
    cdef vf y[UNIT_VECTORS]
    for j in range(n):
        v = vf_load(x + j * LANES)
        step_x[j], y[j] = vf_mul(v, vf_set1(dt)), vf_mul(v, vf_set1(op.bias[head]))
    for i in range(rows):
        for j in range(n):
            v = vf_fma(step_x[j], vf_set1(b[i]), vf_mul(vf_load(s + i * UNIT + j * LANES), decay))
            vf_store(s + i * UNIT + j * LANES, v)
            y[j] = vf_fma(v, vf_set1(c[i]), y[j])
    for j in range(n):
        put(op.dst + t * op.dst_stride + from_column + j * LANES, y[j], size - at - j * LANES)


cdef inline void delta_head(const Op* op, int t, int head, Py_ssize_t at, int rows, int n, float* s) noexcept nogil:
    """One token of `n` vectors of columns of a head: what its key is mapped to moves towards its value."""
    cdef int size = op.width // op.n[0], group = head % op.n[1], i, j
    cdef Py_ssize_t from_column = head * size + at
    cdef const float* q = op.a + t * op.a_stride + group * rows
    cdef const float* k = op.b + t * op.b_stride + group * rows
    cdef const float* v = op.c + t * op.c_stride + from_column
    cdef vf decay = vexp(vf_set1(op.d[t * op.d_stride + head] * op.gain[head])), w
    cdef vf beta = vf_set1(op.e[t * op.e_stride + head])
    cdef vf change[UNIT_VECTORS]
    cdef vf y[UNIT_VECTORS]
    for j in range(n):
        y[j], change[j] = vf_zero(), vf_zero()
    for i in range(rows):
        for j in range(n):
            change[j] = vf_fma(vf_load(s + i * UNIT + j * LANES), vf_set1(k[i]), change[j])
    for j in range(n):
        change[j] = vf_mul(beta, vf_sub(vf_load(v + j * LANES), vf_mul(decay, change[j])))
    for i in range(rows):
        for j in range(n):
            w = vf_fma(change[j], vf_set1(k[i]), vf_mul(vf_load(s + i * UNIT + j * LANES), decay))
            vf_store(s + i * UNIT + j * LANES, w)
            y[j] = vf_fma(w, vf_set1(q[i]), y[j])
    for j in range(n):
        put(op.dst + t * op.dst_stride + from_column + j * LANES, vf_mul(y[j], vf_set1(op.f[0])),
            size - at - j * LANES)


cdef enum:
    EACH
    HEADS
    DELTA


cdef inline void recur(int what, const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """All tokens of each run through one unit after the other. n: heads, groups, rows of a state."""
    cdef int heads = 1 if what == EACH else op.n[0], rows = op.n[2], size = op.width // heads, run, t, head, n
    cdef Py_ssize_t units = (size + UNIT - 1) // UNIT, lo, hi, u, at
    cdef float* s
    share(heads * units, tid, team, &lo, &hi)
    for run in range(step.n_runs):
        for u in range(lo, hi):
            head, at = <int>(u // units), u % units * UNIT
            n = vectors_of(size - at)
            s = op.scratch + step.run_seq[run] * op.scratch_stride + u * rows * UNIT
            if step.position[step.run_start[run]] == 0:
                memset(s, 0, rows * UNIT * sizeof(float))
            for t in range(step.run_start[run], step.run_start[run + 1]):
                if what == EACH:
                    scan_each(op, t, at, rows, op.gain + u * rows * UNIT, s)
                elif what == HEADS and n == UNIT_VECTORS:
                    scan_head(op, t, head, at, rows, UNIT_VECTORS, s)
                elif what == HEADS:
                    scan_head(op, t, head, at, rows, n, s)
                elif n == UNIT_VECTORS:
                    delta_head(op, t, head, at, rows, UNIT_VECTORS, s)
                else:
                    delta_head(op, t, head, at, rows, n, s)


cdef void op_scan(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    recur(EACH, op, step, tid, team)

cdef void op_scan_heads(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    recur(HEADS, op, step, tid, team)

cdef void op_delta(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    recur(DELTA, op, step, tid, team)
