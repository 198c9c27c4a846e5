# The records of a plan, one body for every instruction set. Each runs on a whole team: a thread takes its share of
# rows, columns or panels and touches nothing else, so that results do not depend on the number of threads.

cdef inline int rows_of(const Op* op, const Step* step) noexcept nogil:
    return step.n_wanted if op.wanted else step.n_tokens


cdef inline void share(Py_ssize_t n, int tid, int team, Py_ssize_t* lo, Py_ssize_t* hi) noexcept nogil:
    lo[0], hi[0] = n * tid // team, n * (tid + 1) // team


cdef inline void quantize_blocks(const float* x, uint8_t* row, int width, Py_ssize_t first,
                                 Py_ssize_t last) noexcept nogil:
    """Blocks first ... last of one row to 8 bits; a row is `width` codes, one Scale a block, codes raised by 128."""
    cdef Py_ssize_t b
    cdef int i
    cdef float top, inverse
    cdef vf peak, y
    cdef uint64_t* codes
    cdef uint64_t* raised
    cdef Scale* scale = <Scale*>(row + width)
    for b in range(first, last):
        peak = vf_zero()
        for i in range(BLOCK // LANES):
            peak = vf_max(peak, vf_abs(vf_load(x + b * BLOCK + i * LANES)))
        top = vf_top(peak)
        inverse = 127 / top if top > 1e-30 else 0       # smaller still, and 127 / top is infinite
        for i in range(BLOCK // LANES):
            y = vf_round(vf_mul(vf_load(x + b * BLOCK + i * LANES), vf_set1(inverse)))
            vf_store_i8(row + b * BLOCK + i * LANES, y)
        scale[b].d = top / 127 if inverse else 0
    for b in range(first, last):                        # not at once: stores of parts hold up loads of the whole
        set_sums(&scale[b], row + b * BLOCK)
        codes, raised = <uint64_t*>(row + b * BLOCK), <uint64_t*>(row + 2 * width + b * BLOCK)
        for i in range(BLOCK // 8 if SPREADS else 0):
            raised[i] = codes[i] ^ 0x8080808080808080u


cdef inline void set_sums(Scale* scale, const uint8_t* codes) noexcept nogil:
    """What products with offsets and minima need to know of 32 codes."""
    scale.less[1], scale.less[2] = less_sums(codes), less_sums(codes + BLOCK // 2)
    scale.less[0] = less_both(scale.less[1], scale.less[2])
    scale.low, scale.high = -less_total(scale.less[1]), -less_total(scale.less[2])
    scale.sum = scale.low + scale.high


cdef inline void quantize_rest(const float* x, const uint8_t* row, uint8_t* second, int width,
                               Py_ssize_t b) noexcept nogil:
    """What 8 bits left over of block b, in 8 bits again: the two rows together are good to 16."""
    cdef float rest[BLOCK]
    cdef float d = (<const Scale*>(row + width))[b].d
    cdef int i
    for i in range(BLOCK // LANES):
        vf_store(rest + i * LANES, vf_sub(vf_load(x + b * BLOCK + i * LANES),
                                          vf_mul(vf_set1(d), vf_load_i8(row + b * BLOCK + i * LANES))))
    quantize_blocks(rest - b * BLOCK, second, width, b, b + 1)


cdef inline void leave_copy(const Op* op, const float* x, Py_ssize_t t, Py_ssize_t first,
                            Py_ssize_t last) noexcept nogil:
    """The 8-bit copy of some blocks of row t, in as many terms as wanted."""
    cdef uint8_t* row = op.q + t * op.q_stride
    cdef Py_ssize_t b
    quantize_blocks(x, row, op.width, first, last)
    if op.terms == 2:
        for b in range(first, last):
            quantize_rest(x, row, row + op.q_stride // 2, op.width, b)


cdef void op_quantize(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    cdef Py_ssize_t blocks = op.width // BLOCK, lo, hi, u
    share(rows_of(op, step) * blocks, tid, team, &lo, &hi)
    for u in range(lo, hi):
        leave_copy(op, op.a + u // blocks * op.a_stride, u // blocks, u % blocks, u % blocks + 1)


cdef void op_embed(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    cdef Py_ssize_t lo, hi, t
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        op.expand(op.raw + step.token[t] * op.raw_stride, op.dst + t * op.dst_stride, op.width)


cdef void op_copy(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    cdef Py_ssize_t lo, hi, t
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        memcpy(op.dst + t * op.dst_stride, op.a + t * op.a_stride, op.width * sizeof(float))


cdef void op_select(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """Keep the rows whose logits are wanted."""
    cdef Py_ssize_t lo, hi, t
    share(step.n_wanted, tid, team, &lo, &hi)
    for t in range(lo, hi):
        memcpy(op.dst + t * op.dst_stride, op.a + step.wanted[t] * op.a_stride, op.width * sizeof(float))


cdef inline void rms_row(const float* x, const float* gain, float* y, int n, float eps) noexcept nogil:
    cdef vf squares = vf_zero(), v
    cdef float total, scale
    cdef int i = 0
    while i + LANES <= n:
        v = vf_load(x + i)
        squares = vf_fma(v, v, squares)
        i += LANES
    total = vf_sum(squares)
    while i < n:
        total += x[i] * x[i]
        i += 1
    scale = 1 / sqrtf(total / n + eps)
    i = 0
    while i + LANES <= n:
        v = vf_mul(vf_load(x + i), vf_set1(scale))
        vf_store(y + i, vf_mul(v, vf_load(gain + i)) if gain != NULL else v)
        i += LANES
    while i < n:
        y[i] = x[i] * scale * (gain[i] if gain != NULL else 1)
        i += 1


cdef void op_rms_norm(const Op* op, const Step* step, int tid, int team) noexcept nogil:
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
            rms_row(op.a + t * op.a_stride + h * size, gain, y + h * size, size, op.f[0])
        if op.q != NULL:
            leave_copy(op, y, t, 0, op.width // BLOCK)


cdef enum:
    ADD
    MUL
    SCALE
    ACT          # n[0] says which, f its parameters
    GATED        # act(a) * b


cdef inline void elementwise(int what, const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """Units of 32 columns, so that a single row is shared by the team too; rows are padded to whole vectors."""
    cdef Py_ssize_t units = (op.width + BLOCK - 1) // BLOCK, lo, hi, u, t, at, i, end
    cdef const float* a
    cdef const float* b
    cdef float* y
    cdef vf v
    share(rows_of(op, step) * units, tid, team, &lo, &hi)
    for u in range(lo, hi):
        t, at = u // units, u % units * BLOCK
        a, b, y = op.a + t * op.a_stride, op.b + t * op.b_stride, op.dst + t * op.dst_stride
        end = min(at + BLOCK, op.width)
        i = at
        while i < end:
            v = vf_load(a + i)
            if what == ADD:
                v = vf_add(v, vf_load(b + i))
            elif what == MUL:
                v = vf_mul(v, vf_load(b + i))
            elif what == SCALE:
                v = vf_mul(v, vf_set1(op.f[0]))
            elif what == ACT:
                v = activate(op.n[0], v, op.f)
            else:
                v = vf_mul(activate(op.n[0], v, op.f), vf_load(b + i))
            vf_store(y + i, v)
            i += LANES
        if op.q != NULL:
            leave_copy(op, y, t, at // BLOCK, at // BLOCK + 1)


cdef void op_add(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    elementwise(ADD, op, step, tid, team)

cdef void op_mul(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    elementwise(MUL, op, step, tid, team)

cdef void op_scale(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    elementwise(SCALE, op, step, tid, team)

cdef void op_act(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    elementwise(ACT, op, step, tid, team)

cdef void op_gated(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    elementwise(GATED, op, step, tid, team)


cdef void op_angles(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """Cosines, then sines of position * frequency; raw: float64 frequencies; f: magnitude."""
    cdef int pairs = op.width // 2, i
    cdef const double* frequency = <const double*>op.raw
    cdef Py_ssize_t lo, hi, t
    cdef double angle
    cdef float* y
    share(step.n_tokens, tid, team, &lo, &hi)
    for t in range(lo, hi):
        y = op.dst + t * op.dst_stride
        for i in range(pairs):
            angle = step.position[t] * frequency[i]
            y[i], y[pairs + i] = <float>(op.f[0] * cos(angle)), <float>(op.f[0] * sin(angle))


cdef inline void rotate(const float* x, const float* cs, float* y, int size, int pairs, bint apart) noexcept nogil:
    """One head: pairs stand `pairs` apart, or side by side. y may be x."""
    cdef int i
    cdef float p, q
    if apart:
        for i in range(pairs):
            p, q = x[i], x[i + pairs]
            y[i], y[i + pairs] = p * cs[i] - q * cs[pairs + i], q * cs[i] + p * cs[pairs + i]
    else:
        for i in range(pairs):
            p, q = x[2 * i], x[2 * i + 1]
            y[2 * i], y[2 * i + 1] = p * cs[i] - q * cs[pairs + i], q * cs[i] + p * cs[pairs + i]
    for i in range(2 * pairs, size):
        y[i] = x[i]


cdef void op_rope(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: heads, head_dim, pairs, neox; b: angles."""
    cdef int heads = op.n[0], size = op.n[1]
    cdef Py_ssize_t lo, hi, u, t, at
    share(<Py_ssize_t>step.n_tokens * heads, tid, team, &lo, &hi)
    for u in range(lo, hi):
        t, at = u // heads, u % heads * size
        rotate(op.a + t * op.a_stride + at, op.b + t * op.b_stride, op.dst + t * op.dst_stride + at, size, op.n[2],
               op.n[3])
