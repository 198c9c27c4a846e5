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


cdef inline void head_panel(const Op* op, const Matrix* m, int head, int row, const uint8_t* panel, int tokens,
                            const uint8_t* x, float* y) noexcept nogil:
    """A panel of one head's matrix, from its row `row` on, times that head of some tokens; y: where they go."""
    cdef int chunk, k, r, i, cols, width = m.cols * op.n[0], rows = min(<int>LANES, m.rows - row)
    cdef float part[TILE * LANES]
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
        if op.terms == 2:
            for k in range(tokens):
                vf_store(part + k * LANES, vf_add(vf_load(part + 2 * k * LANES), vf_load(part + (2 * k + 1) * LANES)))
        for k in range(tokens):
            for r in range(rows):
                y[k * op.dst_stride + r] = y[k * op.dst_stride + r] + part[k * LANES + r] if chunk \
                    else part[k * LANES + r]


cdef void op_heads_matmul(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """dst[h] = matrix[h] @ raw[h]. n: heads."""
    cdef Matrix one = op.matrix[0]
    cdef int panels = (one.rows + LANES - 1) // LANES, h, t, n
    cdef Py_ssize_t lo, hi, u, p
    cdef const uint8_t* panel
    share(<Py_ssize_t>op.n[0] * panels, tid, team, &lo, &hi)
    for u in range(lo, hi):
        h, p, t = <int>(u // panels), u % panels, 0
        one.data = op.matrix.data + h * one.next
        panel = panel_of(&one, p, <uint8_t*>(op.scratch + tid * op.scratch_stride))
        while t < rows_of(op, step):
            n = min(<int>TILE // op.terms, rows_of(op, step) - t)
            head_panel(op, &one, h, <int>p * LANES, panel, n, op.raw + t * op.raw_stride,
                       op.dst + t * op.dst_stride + <Py_ssize_t>h * one.rows + p * LANES)
            t += n


cdef void add_latent(op_fn* o) noexcept:
    o[68], o[69], o[70] = op_heads_part, op_heads_join, op_heads_matmul
