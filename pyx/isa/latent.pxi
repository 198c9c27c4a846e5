# Latent attention: parts of heads, heads put together, a matrix for each head.

cdef void op_heads_part(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: heads, size of a head of a, first value that is taken."""
    cdef int heads = op.n[0], size = op.width // op.n[0], h
    cdef Py_ssize_t lo, hi, t
    cdef const float* x
    cdef float* y
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        x, y = op.a + t * op.a_stride + op.n[2], op.dst + t * op.dst_stride
        for h in range(heads):
            memcpy(y + h * size, x + h * op.n[1], size * sizeof(float))
        if op.q != NULL:
            leave_copy(op, y, t, 0, op.width // BLOCK)


cdef void op_heads_join(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: heads, sizes of a head of a and of b, 1 if b is one head for all."""
    cdef int heads = op.n[0], first = op.n[1], second = op.n[2], h
    cdef Py_ssize_t lo, hi, t
    cdef const float* b
    cdef float* y
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        b, y = op.b + t * op.b_stride, op.dst + t * op.dst_stride
        for h in range(heads):
            memcpy(y, op.a + t * op.a_stride + h * first, first * sizeof(float))
            memcpy(y + first, b if op.n[3] else b + h * second, second * sizeof(float))
            y += first + second


cdef inline void head_panel(const Op* op, const uint8_t* panel, int head, int first, int last, int tokens,
                            const uint8_t* x, float* y) noexcept nogil:
    """Rows first ... last of a panel times one head of some tokens. y: the panel's first row, in the result."""
    cdef const Matrix* m = op.matrix
    cdef int chunk, k, r, i, term, cols = m.cols, width = m.cols * op.n[0]
    cdef float part[TILE * LANES]
    cdef float sum
    for chunk in range(chunks_of(m)):
        i = chunk * COLS
        cols = min(<int>COLS, m.cols - i)
        if m.quantized:
            m.tile(panel + m.panel * i // m.cols, cols, x + head * m.cols + i,
                   <const Scale*>(x + width) + (head * m.cols + i) // BLOCK, op.raw_stride // op.terms,
                   tokens * op.terms, part)
        else:
            m.tile(panel + m.panel * i // m.cols, cols, x + (head * m.cols + i) * sizeof(float), NULL, op.raw_stride,
                   tokens, part)
        for k in range(tokens):
            for r in range(first, last):
                sum = 0
                for term in range(op.terms):
                    sum += part[(k * op.terms + term) * LANES + r]
                y[k * op.dst_stride + r] = y[k * op.dst_stride + r] + sum if chunk else sum


cdef void op_heads_matmul(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """dst[h] = matrix[h] @ raw[h]. n: heads, rows of each; they stand one below the other, and where a panel holds rows
    of two heads both use it."""
    cdef const Matrix* m = op.matrix
    cdef int rows = op.n[1], each = (rows + LANES - 1) // LANES + (rows % LANES != 0), h, first, last, t, n
    cdef Py_ssize_t lo, hi, u, p
    cdef const uint8_t* panel
    share(<Py_ssize_t>op.n[0] * each, tid, team, &lo, &hi)
    for u in range(lo, hi):
        h = <int>(u // each)
        p = h * rows // LANES + u % each
        first, last = max(0, h * rows - <int>p * LANES), min(<int>LANES, (h + 1) * rows - <int>p * LANES)
        if first >= last:
            continue
        panel, t = panel_of(m, p, <uint8_t*>(op.scratch + tid * op.scratch_stride)), 0
        while t < step.n_tokens:
            n = min(<int>TILE // op.terms, step.n_tokens - t)
            head_panel(op, panel, h, first, last, n, op.raw + t * op.raw_stride,
                       op.dst + t * op.dst_stride + p * LANES)
            t += n


cdef void add_latent(op_fn* o) noexcept:
    o[68], o[69], o[70] = op_heads_part, op_heads_join, op_heads_matmul
