# Products with weights: a thread takes some panels and all tokens, in chunks that stay in its cache.

cdef inline void finish(const Op* op, float* y, Py_ssize_t t, int row, int tokens, int terms) noexcept nogil:
    """Add up the terms of a tile (tokens * terms, LANES), add bias and residual, store it."""
    cdef int k, i, left = min(<int>LANES, op.matrix.rows - row)
    if terms == 2:
        for k in range(tokens):
            vf_store(y + k * LANES, vf_add(vf_load(y + 2 * k * LANES), vf_load(y + (2 * k + 1) * LANES)))
    cdef float* dst
    cdef const float* rest
    cdef vf v
    for k in range(tokens):
        dst = op.dst + (t + k) * op.dst_stride + row
        rest = op.c + (t + k) * op.c_stride + row if op.c != NULL else NULL
        if left == LANES:
            v = vf_load(y + k * LANES)
            if op.bias != NULL:
                v = vf_add(v, vf_load(op.bias + row))
            if rest != NULL:
                v = vf_add(v, vf_load(rest))
            vf_store(dst, v)
        else:
            for i in range(left):
                dst[i] = y[k * LANES + i]
                if op.bias != NULL:
                    dst[i] += op.bias[row + i]
                if rest != NULL:
                    dst[i] += rest[i]


cdef inline const uint8_t* panel_of(const Matrix* m, Py_ssize_t p, uint8_t* room) noexcept nogil:
    """Panel p of a weight: as it lies there, or made in `room` from the file's rows."""
    cdef const uint8_t* rows = m.data + p * LANES * m.stride
    cdef int n = min(<int>LANES, m.rows - <int>p * LANES)
    if m.pack == NULL:
        return m.data + p * m.stride
    if m.expand != NULL:
        widen(m.expand, rows, m.stride, n, m.cols, room)
    else:
        m.pack(rows, m.stride, n, m.cols, room)
    return room


cdef inline int chunk_of(const Op* op, int tokens) noexcept nogil:
    """Tokens whose activations stay in the second-level cache while all panels pass by."""
    if op.matrix.pack != NULL:               # making a panel costs more
        return tokens
    return max(<int>TILE, <int>(262144 // op.raw_stride) // TILE * TILE)


cdef void op_matmul(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """dst = matrix @ raw (+ bias) (+ c); raw holds float activations, or 8-bit ones in terms."""
    cdef const Matrix* m = op.matrix
    cdef int tokens = rows_of(op, step), chunk = chunk_of(op, tokens), t0 = 0, t, n, terms = op.terms
    cdef Py_ssize_t lo, hi, p
    cdef const uint8_t* panel
    cdef float y[TILE * LANES]
    share((m.rows + LANES - 1) // LANES, tid, team, &lo, &hi)
    while t0 < tokens:
        for p in range(lo, hi):
            panel = panel_of(m, p, <uint8_t*>(op.scratch + tid * op.scratch_stride))
            t = t0
            while t < min(tokens, t0 + chunk):
                n = min(<int>TILE // terms, min(tokens, t0 + chunk) - t)
                m.tile(panel, m.cols, op.raw + t * op.raw_stride, op.raw_stride // terms, n * terms, y)
                finish(op, y, t, <int>p * LANES, n, terms)
                t += n
        t0 += chunk


cdef enum:
    GATED_TOKENS = 64        # tokens whose gated products wait to be quantized


cdef inline void gate_panel(const Op* op, const Matrix* m, Py_ssize_t p, const uint8_t* x, int tokens, bint first,
                            float* y) noexcept nogil:
    """One panel times some tokens into y, rows BLOCK apart: act of it first, then times what is there."""
    cdef float part[TILE * LANES]
    cdef int t = 0, n, k
    cdef vf v
    while t < tokens:
        n = min(<int>TILE, tokens - t)
        m.tile(m.data + p * m.stride, m.cols, x + t * op.raw_stride, op.raw_stride, n, part)
        for k in range(n):
            v = vf_load(part + k * LANES)
            vf_store(y + (t + k) * BLOCK, activate(op.n[0], v) if first else vf_mul(vf_load(y + (t + k) * BLOCK), v))
        t += n


cdef void op_gated_matmul(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """q = act(matrix @ raw) * (other @ raw), in 8 bits: 32 rows at a time, which are one block. n: act."""
    cdef int tokens = rows_of(op, step), t = 0, n, j, k
    cdef Py_ssize_t lo, hi, u, p
    cdef const uint8_t* x
    cdef float y[GATED_TOKENS * BLOCK]
    share(op.matrix.rows // BLOCK, tid, team, &lo, &hi)
    while t < tokens:
        n, x = min(<int>GATED_TOKENS, tokens - t), op.raw + t * op.raw_stride
        for u in range(lo, hi):
            for j in range(BLOCK // LANES):
                p = u * (BLOCK // LANES) + j
                gate_panel(op, op.matrix, p, x, n, True, y + j * LANES)
                gate_panel(op, op.other, p, x, n, False, y + j * LANES)
            for k in range(n):
                quantize_blocks(y + k * BLOCK - u * BLOCK, op.q + (t + k) * op.q_stride, op.width, u, u + 1)
        t += n
