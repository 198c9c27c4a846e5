# Products with the weights of the experts that each token goes to.
#
# A step's (token, slot) pairs are sorted by expert, so that a panel meets all tokens of its expert while it is in a
# cache, and a single token reads nothing but what its experts hold. Each thread sorts for itself: that is less work
# than waiting for another.
#
# Fields of Op: raw activations, b ids, a weights or NULL; n: count, used, act, and the floats of scratch that stand
# before gathered rows, and before a panel.

cdef struct Rows:            # activations that one expert takes
    const uint8_t* x
    const Scale* scales
    Py_ssize_t stride        # bytes from row to row


cdef inline const int* sort_by_expert(const Op* op, int tokens, int* start) noexcept nogil:
    """Pairs token * used + slot: those of expert e are at start[e] ... start[e + 1] of what is returned."""
    cdef int t, s, e, count = op.n[0], used = op.n[1]
    cdef int* pairs = start + count + 1
    cdef const float* ids
    memset(start, 0, (count + 1) * sizeof(int))
    for t in range(tokens):
        for s in range(used):
            start[expert_at(op, op.b + t * op.b_stride, s) + 1] += 1
    for e in range(count):
        start[e + 1] += start[e]
    for t in range(tokens):
        ids = op.b + t * op.b_stride
        for s in range(used):
            e = expert_at(op, ids, s)
            pairs[start[e]] = t * used + s
            start[e] += 1
    for e in range(count, 0, -1):
        start[e] = start[e - 1]
    start[0] = 0
    return pairs


cdef inline Matrix expert_of(const Matrix* m, int e) noexcept nogil:
    cdef Matrix one = m[0]
    one.data += e * m.next
    return one


cdef inline Rows gather(const Op* op, const int* pairs, int n, bint by_slot, uint8_t* room) noexcept nogil:
    """Activations of n pairs side by side; one alone stays where it is. by_slot: a token's row has a part each slot.

    Where panels are unpacked for many rows, these have codes raised by 128 behind their scales, as rows of op.raw do.
    """
    cdef const Matrix* m = op.matrix
    cdef int i, slot, used = op.n[1], cols = m.cols, parts = used if by_slot else 1
    cdef Py_ssize_t codes = cols if m.quantized else 4 * cols
    cdef Py_ssize_t scales = cols // BLOCK * sizeof(Scale) if m.quantized else 0
    cdef Py_ssize_t raised = codes if SPREADS and m.quantized and n >= MANY else 0
    cdef const uint8_t* row
    cdef uint8_t* to
    cdef Rows found
    found.x, found.scales, found.stride = room, <const Scale*>(room + codes), codes + scales + raised
    for i in range(n):
        row, slot = op.raw + pairs[i] // used * op.raw_stride, pairs[i] % used if by_slot else 0
        if n == 1:
            found.x = row + slot * codes
            found.scales = <const Scale*>(row + parts * codes + slot * scales)
            return found
        to = room + i * found.stride
        memcpy(to, row + slot * codes, codes)
        memcpy(to + codes, row + parts * codes + slot * scales, scales)
        memcpy(to + codes + scales, row + parts * (codes + scales) + slot * codes, raised)
    return found


cdef inline void rows_times(const Matrix* m, const uint8_t* panel, const Rows* rows, int n, float* sums) noexcept nogil:
    """sums (n, LANES): a panel times some rows, one chunk of columns after the other."""
    cdef float part[TILE * LANES]
    cdef int chunk, t, k, i, from_col, cols
    cdef const uint8_t* x
    cdef const Scale* scales = NULL
    for chunk in range(chunks_of(m)):
        from_col, t = chunk * COLS, 0
        cols = min(<int>COLS, m.cols - from_col)
        while t < n:
            k, x = min(<int>TILE, n - t), rows.x + t * rows.stride + (from_col if m.quantized else 4 * from_col)
            if m.quantized:
                scales = scales_of(rows.scales + from_col // BLOCK, rows.stride, t)
            m.tile(panel + m.panel * from_col // m.cols, cols, x, scales, rows.stride, k, part)
            for i in range(k):
                if chunk:
                    vf_store(part + i * LANES, vf_add(vf_load(sums + (t + i) * LANES), vf_load(part + i * LANES)))
                vf_store(sums + (t + i) * LANES, vf_load(part + i * LANES))
            t += k


cdef inline void rows_times_group(const Matrix* m, Py_ssize_t p, const Rows* rows, int n, float* sums) noexcept nogil:
    """sums (GROUP, n, LANES): the same for panels that are unpacked once for all rows."""
    cdef Spread room
    cdef float part[GROUP * GATHERED * LANES]
    cdef const uint8_t* next
    cdef bint last
    cdef int chunk, i
    for chunk in range(chunks_of(m)):
        last = chunk == chunks_of(m) - 1
        next = part_of(m, p + GROUP, 0) if last else part_of(m, p, (chunk + 1) * COLS)
        spread_group(m, p, chunk, rows.x, rows.stride, n, next, &room, &part[0] if chunk else sums)
        for i in range(GROUP * n if chunk else 0):
            vf_store(sums + i * LANES, vf_add(vf_load(sums + i * LANES), vf_load(part + i * LANES)))


cdef inline int expert_panels(const Matrix* m, int e, const float* bias, Py_ssize_t p, Py_ssize_t end, const Rows* rows,
                              int n, uint8_t* room, float* sums) noexcept nogil:
    """sums (panel, n, LANES) = panels p ... of expert e's matrix @ rows (+ bias). How many that are: GROUP or one."""
    cdef Matrix one = expert_of(m, e)
    cdef int i, j, r, left, panels = GROUP if m.spread != NULL and n >= MANY and p + GROUP <= end else 1
    if panels == 1:
        rows_times(&one, panel_of(&one, p, room), rows, n, sums)
    else:
        rows_times_group(&one, p, rows, n, sums)
    for j in range(panels if bias != NULL else 0):
        r = <int>(p + j) * LANES
        left = min(<int>LANES, m.rows - r)
        for i in range(n):
            add_some(sums + (j * n + i) * LANES, bias + <Py_ssize_t>e * m.rows + r, left)
    return panels


cdef inline void add_some(float* y, const float* x, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        y[i] += x[i]


cdef inline void their_blocks(const int* start, int e, Py_ssize_t blocks, Py_ssize_t lo, Py_ssize_t hi,
                              Py_ssize_t* first, Py_ssize_t* last) noexcept nogil:
    """The blocks of expert e that belong to a thread whose share are units lo ... hi, one for each pair and block."""
    cdef Py_ssize_t n = start[e + 1] - start[e], at = start[e] * blocks
    first[0] = max(<Py_ssize_t>0, min(blocks, (lo - at + n - 1) // n))
    last[0] = max(<Py_ssize_t>0, min(blocks, (hi - at + n - 1) // n))


cdef inline float weight_of(const Op* op, int pair) noexcept nogil:
    return op.a[pair // op.n[1] * op.a_stride + pair % op.n[1]] if op.a != NULL else 1


cdef void op_experts(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """dst (token, slot, rows) = (weight *) (matrix @ raw + bias), by the expert of each token and slot."""
    cdef const Matrix* m = op.matrix
    cdef float* scratch = op.scratch + tid * op.scratch_stride
    cdef int* start = <int*>scratch
    cdef int tokens = rows_of(op, step), e, i, k, n, panels
    cdef const int* pairs = sort_by_expert(op, tokens, start)
    cdef Py_ssize_t blocks = (m.rows + LANES - 1) // LANES, lo, hi, first, last, p
    cdef Rows rows
    cdef float sums[GROUP * GATHERED * LANES]
    cdef bint meshed = mesh_on(m, tokens * op.n[1])
    share(<Py_ssize_t>tokens * op.n[1] * blocks, tid, team, &lo, &hi)
    for e in range(op.n[0]):
        if start[e] == start[e + 1]:
            continue
        their_blocks(start, e, blocks, lo, hi, &first, &last)
        i = start[e]
        while i < start[e + 1] and first < last:
            n = min(<int>GATHERED, start[e + 1] - i)
            rows = gather(op, pairs + i, n, False, <uint8_t*>(scratch + op.n[3]))
            p = first
            while p < last:
                panels = expert_panels(m, e, op.bias, p, last, &rows, n, <uint8_t*>(scratch + op.n[4]), sums)
                for k in range(panels * n):
                    put_expert(op, pairs[i + k % n], <int>(p + k // n) * LANES, sums + k * LANES)
                p += panels
            i += n
    mesh_off(meshed)


cdef inline void put_expert(const Op* op, int pair, int row, const float* y) noexcept nogil:
    """Not beyond the last row: the next slot's rows are another thread's."""
    cdef int r, rows = op.matrix.rows, used = op.n[1]
    cdef float weight = weight_of(op, pair)
    cdef float* dst = op.dst + pair // used * op.dst_stride + <Py_ssize_t>(pair % used) * rows + row
    for r in range(min(<int>LANES, rows - row)):
        dst[r] = y[r] * weight


cdef void op_experts_gated(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """q = act(matrix @ raw + bias) * (other @ raw + gain), in 8 bits: 32 rows at a time, which are one block."""
    cdef const Matrix* m = op.matrix
    cdef float* scratch = op.scratch + tid * op.scratch_stride
    cdef int* start = <int*>scratch
    cdef int tokens = rows_of(op, step), e, i, n, many
    cdef const int* pairs = sort_by_expert(op, tokens, start)
    cdef Py_ssize_t blocks = m.rows // BLOCK, lo, hi, first, last, u
    cdef Rows rows
    cdef bint meshed = mesh_on(m, tokens * op.n[1]) or mesh_on(op.other, tokens * op.n[1])
    share(<Py_ssize_t>tokens * op.n[1] * blocks, tid, team, &lo, &hi)
    for e in range(op.n[0]):
        if start[e] == start[e + 1]:
            continue
        their_blocks(start, e, blocks, lo, hi, &first, &last)
        i = start[e]
        while i < start[e + 1] and first < last:
            n = min(<int>GATHERED, start[e + 1] - i)
            rows = gather(op, pairs + i, n, False, <uint8_t*>(scratch + op.n[3]))
            u, many = first, max(1, GATHERED // n)      # of one matrix at a time: memory likes to be read in long runs
            while u < last:
                gated_blocks(op, e, u, min(many, <int>(last - u)), pairs + i, &rows, n)
                u += many
            i += n
    mesh_off(meshed)


cdef inline void gated_blocks(const Op* op, int e, Py_ssize_t u, int blocks, const int* pairs, const Rows* rows,
                              int n) noexcept nogil:
    """Some times 32 rows of an expert's gate and up for n pairs, into their 8-bit rows; n * blocks <= GATHERED."""
    cdef float gate[GROUP * GATHERED * LANES]
    cdef float up[GROUP * GATHERED * LANES]
    cdef float y[BLOCK]
    cdef int b, k, used = op.n[1]
    cdef Py_ssize_t at
    many_panels(op.matrix, e, op.bias, u * GROUP, blocks * GROUP, rows, n, gate)
    many_panels(op.other, e, op.gain, u * GROUP, blocks * GROUP, rows, n, up)
    for k in range(n):
        for b in range(blocks):
            at = (b * GROUP * n + k) * LANES
            gated_values(op, gate + at, up + at, n, weight_of(op, pairs[k]), y)
            at = <Py_ssize_t>(pairs[k] % used) * (op.matrix.rows // BLOCK) + u + b
            quantize_blocks(y - at * BLOCK, op.q + pairs[k] // used * op.q_stride, op.width, at, at + 1)


cdef inline void many_panels(const Matrix* m, int e, const float* bias, Py_ssize_t p, int panels, const Rows* rows,
                             int n, float* sums) noexcept nogil:
    cdef int j = 0
    while j < panels:
        j += expert_panels(m, e, bias, p + j, p + panels, rows, n, NULL, sums + j * n * LANES)


cdef inline void gated_values(const Op* op, const float* gate, const float* up, int n, float weight,
                              float* y) noexcept nogil:
    """32 values of one pair, from vectors n apart."""
    cdef vf w = vf_set1(weight)
    cdef int j
    for j in range(GROUP):
        vf_store(y + j * LANES, gate_times(op.n[2], vf_mul(vf_load(gate + j * n * LANES), w),
                                           vf_mul(vf_load(up + j * n * LANES), w), op.f))


cdef void op_experts_sum(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """dst = (c +) the sum over slots of weight * (matrix @ the slot's part of raw + bias), in the order of experts."""
    cdef const Matrix* m = op.matrix
    cdef float* scratch = op.scratch + tid * op.scratch_stride
    cdef int* start = <int*>scratch
    cdef int tokens = rows_of(op, step), e, i, k, n, end, panels
    cdef const int* pairs = sort_by_expert(op, tokens, start)
    cdef Py_ssize_t lo, hi, p, r, t
    cdef Rows rows
    cdef float sums[GROUP * GATHERED * LANES]
    cdef bint meshed = mesh_on(m, tokens * op.n[1])
    share((m.rows + LANES - 1) // LANES, tid, team, &lo, &hi)
    end = min(<int>hi * LANES, m.rows)
    for t in range(tokens):
        for r in range(lo * LANES, end):
            op.dst[t * op.dst_stride + r] = op.c[t * op.c_stride + r] if op.c != NULL else 0
    for e in range(op.n[0]):
        i = start[e]
        while i < start[e + 1] and lo < hi:
            n = min(<int>GATHERED, start[e + 1] - i)
            rows = gather(op, pairs + i, n, True, <uint8_t*>(scratch + op.n[3]))
            p = lo
            while p < hi:
                panels = expert_panels(m, e, op.bias, p, hi, &rows, n, <uint8_t*>(scratch + op.n[4]), sums)
                for k in range(panels * n):
                    add_expert(op, pairs[i + k % n], <int>(p + k // n) * LANES, sums + k * LANES)
                p += panels
            i += n
    mesh_off(meshed)


cdef inline void add_expert(const Op* op, int pair, int row, const float* y) noexcept nogil:
    cdef float weight = weight_of(op, pair)
    cdef float* dst = op.dst + pair // op.n[1] * op.dst_stride + row
    cdef int r
    if row + LANES <= op.matrix.rows:
        vf_store(dst, vf_fma(vf_set1(weight), vf_load(y), vf_load(dst)))
    else:
        for r in range(op.matrix.rows - row):
            dst[r] += weight * y[r]
