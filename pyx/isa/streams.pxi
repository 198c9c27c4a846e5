# Several streams in place of one residual (AltUp), and feed-forward networks of which most are silent: Gemma 3n.

cdef inline void add_times(float* y, const float* x, float by, int n) noexcept nogil:
    cdef int i = 0
    while i + LANES <= n:
        vf_store(y + i, vf_fma(vf_load(x + i), vf_set1(by), vf_load(y + i)))
        i += LANES
    while i < n:
        y[i] += x[i] * by
        i += 1


cdef void op_combine(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """dst[i] = a[i] + sum over j of (f + b[i, j]) c[j], for streams i and j of one size. n: streams of a, of c."""
    cdef int streams = op.n[0], others = op.n[1], size = op.width // op.n[0], i, j
    cdef Py_ssize_t lo, hi, u, t
    cdef const float* by
    cdef float* y
    share(<Py_ssize_t>rows_of(op, step) * streams, tid, team, &lo, &hi)
    for u in range(lo, hi):
        t, i = u // streams, <int>(u % streams)
        by, y = op.b + t * op.b_stride + i * others, op.dst + t * op.dst_stride + i * size
        memcpy(y, op.a + t * op.a_stride + i * size, size * sizeof(float))
        for j in range(others):
            add_times(y, op.c + t * op.c_stride + j * size, op.f[0] + by[j], size)


cdef inline float mean_square(const float* x, int n) noexcept nogil:
    cdef vf total = vf_zero(), v
    cdef float sum
    cdef int i = 0
    while i + LANES <= n:
        v = vf_load(x + i)
        total = vf_fma(v, v, total)
        i += LANES
    sum = vf_sum(total)
    while i < n:
        sum += x[i] * x[i]
        i += 1
    return sum / n


cdef void op_match_rms(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """Each head of a, scaled to the root mean square of b. n: heads; f: the least mean square that is divided by."""
    cdef int heads = op.n[0], size = op.width // op.n[0], h, i
    cdef Py_ssize_t lo, hi, u, t
    cdef const float* x
    cdef float* y
    cdef float by
    share(<Py_ssize_t>rows_of(op, step) * heads, tid, team, &lo, &hi)
    for u in range(lo, hi):
        t, h = u // heads, <int>(u % heads)
        x, y = op.a + t * op.a_stride + h * size, op.dst + t * op.dst_stride + h * size
        by = sqrtf(mean_square(op.b + t * op.b_stride, size)) / sqrtf(max(mean_square(x, size), op.f[0]))
        for i in range(size):
            y[i] = x[i] * by


cdef inline void sparse_row(const float* x, float* y, int n, float scale) noexcept nogil:
    """max(x - cutoff, 0), where the cutoff lies `scale` standard deviations above the mean."""
    cdef vf total = vf_zero(), squares = vf_zero(), v
    cdef float sum, mean, cutoff
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
    cutoff = mean + sqrtf(sum / n) * scale
    for i in range(vectors):
        vf_store(y + i * LANES, vf_max(vf_sub(vf_load(x + i * LANES), vf_set1(cutoff)), vf_zero()))
    for i in range(vectors * LANES, n):
        y[i] = max(x[i] - cutoff, <float>0)


cdef void op_sparse(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """f: how many standard deviations above the mean of its row a number must be."""
    cdef Py_ssize_t lo, hi, t
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        sparse_row(op.a + t * op.a_stride, op.dst + t * op.dst_stride, op.width, op.f[0])


cdef void add_streams(op_fn* o) noexcept:
    o[80], o[81], o[82] = op_combine, op_match_rms, op_sparse
