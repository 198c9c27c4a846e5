# Products with weights: a thread takes some panels and all tokens, in chunks that stay in its caches.

cdef enum:
    COLS = 1024              # columns of one chunk: its part of a panel and of a tile of tokens fit the first cache
    CHUNK = 262144           # bytes of activations that stay in the second-level cache while all panels pass by
    GATED_TOKENS = 8 * LANES  # tokens whose gated products wait to be quantized


cdef inline void finish(const Op* op, float* y, Py_ssize_t t, int row, int tokens, int first, int last) noexcept nogil:
    """Add up the terms of a tile (tokens * terms, LANES), onto what earlier columns made; at the end bias, residual."""
    cdef int k, i, left = min(<int>LANES, op.matrix.rows - row)
    cdef float* dst
    cdef const float* rest
    cdef vf v
    if op.terms == 2:
        for k in range(tokens):
            vf_store(y + k * LANES, vf_add(vf_load(y + 2 * k * LANES), vf_load(y + (2 * k + 1) * LANES)))
    for k in range(tokens):
        dst = op.dst + (t + k) * op.dst_stride + row
        rest = op.c + (t + k) * op.c_stride + row if last and op.c != NULL else NULL
        if left == LANES:
            v = vf_load(y + k * LANES)
            if not first:
                v = vf_add(vf_load(dst), v)
            if last and op.bias != NULL:
                v = vf_add(v, vf_load(op.bias + row))
            if rest != NULL:
                v = vf_add(v, vf_load(rest))
            vf_store(dst, v)
        else:
            for i in range(left):
                dst[i] = y[k * LANES + i] if first else dst[i] + y[k * LANES + i]
                if last and op.bias != NULL:
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


cdef inline int portion(int tokens, int most) noexcept nogil:
    """How many of some tokens to take first: whole tiles, at most `most` tokens, all portions about alike."""
    cdef int each = MESH if TILED else TILE, tiles = (tokens + each - 1) // each
    cdef int room = max(1, most // each), n = (tiles + room - 1) // room
    return min(tokens, (tiles + n - 1) // n * each)


cdef inline int chunks_of(const Matrix* m) noexcept nogil:
    return (m.cols + COLS - 1) // COLS


cdef inline void tile_at(const Matrix* m, const uint8_t* panel, int chunk, const uint8_t* x, Py_ssize_t stride,
                         int tokens, float* y) noexcept nogil:
    """One chunk of columns of a panel times rows of activations `stride` bytes apart."""
    cdef int from_col = chunk * COLS, cols = min(<int>COLS, m.cols - from_col)
    panel += m.panel * from_col // m.cols
    if m.quantized:
        m.tile(panel, cols, x + from_col, <const Scale*>(x + m.cols) + from_col // BLOCK, stride, tokens, y)
    else:
        m.tile(panel, cols, x + from_col * sizeof(float), NULL, stride, tokens, y)


cdef inline void panel_times(const Op* op, Py_ssize_t p, const uint8_t* panel, int chunk, int t,
                             int end) noexcept nogil:
    """One chunk of columns of panel p times tokens t ... end."""
    cdef const Matrix* m = op.matrix
    cdef int n, terms = op.terms
    cdef float y[TILE * LANES]
    while t < end:
        n = min(<int>TILE // terms, end - t)
        tile_at(m, panel, chunk, op.raw + t * op.raw_stride, op.raw_stride // terms, n * terms, y)
        finish(op, y, t, <int>p * LANES, n, chunk == 0, chunk == chunks_of(m) - 1)
        t += n


cdef inline const uint8_t* part_of(const Matrix* m, Py_ssize_t p, int col) noexcept nogil:
    """Where column `col` of panel p begins."""
    return m.data + p * m.stride + m.panel * col // m.cols


cdef inline void spread_group(const Matrix* m, Py_ssize_t p, int chunk, const uint8_t* x, Py_ssize_t stride, int rows,
                              const uint8_t* next, Spread* room, float* y) noexcept nogil:
    """y (GROUP, rows, LANES): one chunk of columns of panels p ... times rows of activations; `next` follows."""
    cdef int at = chunk * COLS, first = at, end = min(at + <int>COLS, m.cols), n, j
    room.back, room.stride, room.bytes = 2 * m.cols, m.stride, <int>(m.panel * min(<int>SPREAD, m.cols) // m.cols)
    while at < end:
        n = min(<int>SPREAD, end - at)
        for j in range(GROUP):
            m.spread(part_of(m, p + j, at), n, j, room)
        room.next = part_of(m, p, at + n) if at + n < end else next
        m.spread_rows(room, n // BLOCK, x + 2 * m.cols + at, <const Scale*>(x + m.cols) + at // BLOCK, stride, rows,
                      at == first, y)
        at += n


cdef inline void group_times(const Op* op, Py_ssize_t p, int chunk, int t, int end) noexcept nogil:
    """One chunk of columns of GROUP panels times tokens t ... end."""
    cdef const Matrix* m = op.matrix
    cdef int n, j, terms = op.terms
    cdef const uint8_t* next
    cdef Spread room
    cdef float y[GROUP * AT_ONCE * LANES]
    while t < end:
        n = portion(end - t, AT_ONCE // terms)
        next = part_of(m, p + GROUP if t + n == end else p, chunk * COLS)
        spread_group(m, p, chunk, op.raw + t * op.raw_stride, op.raw_stride // terms, n * terms, next, &room, y)
        for j in range(GROUP):
            finish(op, y + j * n * terms * LANES, t, <int>(p + j) * LANES, n, chunk == 0, chunk == chunks_of(m) - 1)
        t += n


cdef void op_matmul(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """dst = matrix @ raw (+ bias) (+ c); raw holds float activations, or 8-bit ones in terms.

    A row's sum is that of its chunks of columns, whatever the order of loops: few tokens finish a panel before the
    next, many take the same chunk of all panels first. A panel that must be made is used up at once.
    """
    cdef const Matrix* m = op.matrix
    cdef int tokens = rows_of(op, step), t = 0, n, chunk
    cdef Py_ssize_t lo, hi, p, token_bytes = op.raw_stride * min(<int>COLS, m.cols) // m.cols
    cdef const uint8_t* panel
    cdef bint meshed
    if m.spread != NULL:
        token_bytes = token_bytes * 2 // 3              # its codes are read in one of their two forms
    share((m.rows + LANES - 1) // LANES, tid, team, &lo, &hi)
    if m.pack != NULL or tokens <= TILE:
        for p in range(lo, hi):
            panel = panel_of(m, p, <uint8_t*>(op.scratch + tid * op.scratch_stride))
            for chunk in range(chunks_of(m)):
                panel_times(op, p, panel, chunk, 0, tokens)
        return
    meshed = mesh_on(m, tokens)
    while t < tokens:
        n = portion(tokens - t, <int>(CHUNK // token_bytes))
        for chunk in range(chunks_of(m)):
            p = lo
            while m.spread != NULL and n >= MANY and p + GROUP <= hi:
                group_times(op, p, chunk, t, t + n)
                p += GROUP
            while p < hi:
                panel_times(op, p, m.data + p * m.stride, chunk, t, t + n)
                p += 1
        t += n
    mesh_off(meshed)


cdef inline void gate_panel(const Op* op, const Matrix* m, Py_ssize_t p, const uint8_t* x, int tokens, bint first,
                            float* y) noexcept nogil:
    """One panel times some tokens into y, rows BLOCK apart: act of it first, then times what is there."""
    cdef float part[TILE * LANES]
    cdef float sums[GATED_TOKENS * LANES]
    cdef int t, n, k, chunk
    cdef vf v
    for chunk in range(chunks_of(m)):
        t = 0
        while t < tokens:
            n = min(<int>TILE, tokens - t)
            tile_at(m, m.data + p * m.stride, chunk, x + t * op.raw_stride, op.raw_stride, n, part)
            for k in range(n):
                v = vf_load(part + k * LANES)
                vf_store(sums + (t + k) * LANES, vf_add(vf_load(sums + (t + k) * LANES), v) if chunk else v)
            t += n
    for k in range(tokens):
        v = vf_load(sums + k * LANES)
        vf_store(y + k * BLOCK, activate(op.n[0], v, op.f) if first else vf_mul(vf_load(y + k * BLOCK), v))


cdef inline void gate_group(const Op* op, const Matrix* m, Py_ssize_t p, const uint8_t* x, int tokens, bint first,
                            float* y) noexcept nogil:
    """The same for the panels of 32 rows."""
    cdef Spread room
    cdef float part[GROUP * GATED_TOKENS * LANES]
    cdef float sums[GROUP * GATED_TOKENS * LANES]
    cdef const Matrix* after = op.other if first else op.matrix
    cdef const uint8_t* next
    cdef int k, j, chunk
    cdef vf v
    for chunk in range(chunks_of(m)):
        if chunk == chunks_of(m) - 1:
            next = part_of(after, p if first else p + GROUP, 0)
        else:
            next = part_of(m, p, (chunk + 1) * COLS)
        spread_group(m, p, chunk, x, op.raw_stride, tokens, next, &room, &part[0] if chunk else &sums[0])
        for k in range(GROUP * tokens if chunk else 0):
            vf_store(sums + k * LANES, vf_add(vf_load(sums + k * LANES), vf_load(part + k * LANES)))
    for j in range(GROUP):
        for k in range(tokens):
            v = vf_load(sums + (j * tokens + k) * LANES)
            vf_store(y + k * BLOCK + j * LANES,
                     activate(op.n[0], v, op.f) if first else vf_mul(vf_load(y + k * BLOCK + j * LANES), v))


cdef inline void gate_run(const Op* op, const Matrix* m, Py_ssize_t p, int blocks, const uint8_t* x, int tokens,
                          bint first, float* y) noexcept nogil:
    """The same panel by panel, for some times 32 rows: y (blocks, tokens, BLOCK)."""
    cdef int b, j
    for b in range(blocks):
        for j in range(GROUP):
            gate_panel(op, m, p + b * GROUP + j, x, tokens, first, y + b * tokens * BLOCK + j * LANES)


cdef void op_gated_matmul(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """q = act(matrix @ raw) * (other @ raw), in 8 bits: 32 rows at a time, which are one block. n, f: act."""
    cdef int tokens = rows_of(op, step), t = 0, n, k, many
    cdef bint spreads, meshed = mesh_on(op.matrix, tokens)
    cdef Py_ssize_t lo, hi, u
    cdef const uint8_t* x
    cdef float y[GATED_TOKENS * BLOCK]
    share(op.matrix.rows // BLOCK, tid, team, &lo, &hi)
    while t < tokens:
        n, x = portion(tokens - t, GATED_TOKENS), op.raw + t * op.raw_stride
        spreads = op.matrix.spread != NULL and op.other.spread != NULL and n >= MANY
        u, many = lo, 1 if spreads else max(1, GATED_TOKENS // n)   # of one matrix at a time: long runs of memory
        while u < hi:
            many = min(many, <int>(hi - u))
            if spreads:
                gate_group(op, op.matrix, u * GROUP, x, n, True, y)
                gate_group(op, op.other, u * GROUP, x, n, False, y)
            else:
                gate_run(op, op.matrix, u * GROUP, many, x, n, True, y)
                gate_run(op, op.other, u * GROUP, many, x, n, False, y)
            for k in range(many * n):
                quantize_blocks(y + k * BLOCK - (u + k // n) * BLOCK, op.q + (t + k % n) * op.q_stride, op.width,
                                u + k // n, u + k // n + 1)
            u += many
        t += n
    mesh_off(meshed)
