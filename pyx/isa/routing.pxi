# Which experts each token of a mixture goes to, with what weight, and what else mixtures are made of.

cdef enum:
    MAX_EXPERTS = 1024       # EXPERTS of routing.py

cdef enum:                   # gatings, by their place in lowering/experts.py
    BY_SOFTMAX
    BY_SIGMOID
    BY_CHOSEN                   # a softmax over the chosen experts
    BY_SQRT_SOFTPLUS
    BY_NEAREST                  # a softmax over an expert and those that are nearly as good and not chosen before it


cdef inline void softmax_row(const float* x, float* y, int n) noexcept nogil:
    cdef float top = x[0]
    cdef double total = 0
    cdef int i
    for i in range(n):
        top = max(top, x[i])
    for i in range(n):
        y[i] = expf(x[i] - top)
        total += y[i]
    for i in range(n):
        y[i] = <float>(y[i] / total)


cdef inline void probs_row(int gating, const float* x, float* y, int n) noexcept nogil:
    cdef int i
    if gating == BY_SOFTMAX:
        softmax_row(x, y, n)
        return
    for i in range(n):
        if gating == BY_SIGMOID:
            y[i] = 1 / (1 + expf(-x[i]))
        elif gating == BY_SQRT_SOFTPLUS:
            y[i] = sqrtf(max(x[i], <float>0) + log1pf(expf(-fabsf(x[i]))))
        else:
            y[i] = x[i]


cdef inline int best_of(const float* x, const uint8_t* taken, int first, int last) noexcept nogil:
    """The largest number that is not taken, the first among equals, whatever the numbers are (NaN, too)."""
    cdef int i, best = -1
    for i in range(first, last):
        if not taken[i] and (best < 0 or x[i] > x[best]):
            best = i
    return best


cdef inline void shut_groups(const float* x, uint8_t* taken, int count, int groups, int used, int best) noexcept nogil:
    """Take away the experts of all but `used` groups, those whose `best` largest numbers have the largest sums."""
    cdef float score[MAX_EXPERTS]
    cdef uint8_t kept[MAX_EXPERTS]
    cdef int g, i, k, size = count // groups, at
    for g in range(groups):
        score[g], kept[g] = 0, 0
        for k in range(min(best, size)):
            at = best_of(x, taken, g * size, (g + 1) * size)
            score[g] += x[at]
            taken[at] = 1
        memset(taken + g * size, 0, size)
    for k in range(used):
        kept[best_of(score, kept, 0, groups)] = 1
    for i in range(count):
        taken[i] = not kept[i // size]


cdef inline void topk_row(const Op* op, const float* x, float* ids) noexcept nogil:
    """n: count, used, -, -, groups, groups that are used, best of a group; bias: added for the choice only."""
    cdef float score[MAX_EXPERTS]
    cdef uint8_t taken[MAX_EXPERTS]
    cdef int count = op.n[0], s, best
    memset(taken, 0, count)
    memcpy(score, x, count * sizeof(float))
    if op.bias != NULL:
        for s in range(count):
            score[s] += op.bias[s]
    if op.n[4] > 1:
        shut_groups(score, taken, count, op.n[4], op.n[5], op.n[6])
    for s in range(op.n[1]):
        best = best_of(score, taken, 0, count)
        ids[s], taken[best] = <float>best, 1


cdef inline int expert_at(const Op* op, const float* ids, int slot) noexcept nogil:
    """An id that exists, whatever somebody wrote there."""
    return max(0, min(<int>ids[slot], op.n[0] - 1)) if ids[slot] == ids[slot] else 0


cdef inline float weight_of_nearest(const Op* op, const float* x, const float* ids, int slot) noexcept nogil:
    """Of the expert in a slot, whose number is the largest but for those of the slots before; op.n[0] numbers x."""
    cdef float top = x[expert_at(op, ids, slot)]
    cdef double total = 0
    cdef int i, s
    cdef bint before
    for i in range(op.n[0]):
        before = False
        for s in range(slot):
            before = before or expert_at(op, ids, s) == i
        if not before and not (top - x[i]) / max(fabsf(x[i]), top) > <float>0.02:
            total += expf(x[i] - top)
    return <float>(1 / total)


cdef inline void weights_row(const Op* op, const float* probs, const float* ids, float* y) noexcept nogil:
    """n: count, used, gating, norm; f: scale."""
    cdef int used = op.n[1], s
    cdef float total = 0
    for s in range(used):
        y[s] = weight_of_nearest(op, probs, ids, s) if op.n[2] == BY_NEAREST else probs[expert_at(op, ids, s)]
    if op.n[2] == BY_CHOSEN:
        softmax_row(y, y, used)
    if op.n[3]:
        for s in range(used):
            total += y[s]
        total = max(total, <float>6.103515625e-5)
        for s in range(used):
            y[s] /= total
    for s in range(used):
        y[s] *= op.f[0]


cdef void op_route(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """The three below in one, for nobody to see: weights to dst, ids to q. n[7]: choose by logits."""
    cdef Py_ssize_t lo, hi, t
    cdef const float* x
    cdef float* ids
    cdef float probs[MAX_EXPERTS]
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        x, ids = op.a + t * op.a_stride, <float*>op.q + t * op.q_stride
        probs_row(op.n[2], x, probs, op.n[0])
        topk_row(op, x if op.n[7] else probs, ids)
        weights_row(op, probs, ids, op.dst + t * op.dst_stride)


cdef void op_gate_probs(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: -, -, gating."""
    cdef Py_ssize_t lo, hi, t
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        probs_row(op.n[2], op.a + t * op.a_stride, op.dst + t * op.dst_stride, op.width)


cdef void op_topk(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    cdef Py_ssize_t lo, hi, t
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        topk_row(op, op.a + t * op.a_stride, op.dst + t * op.dst_stride)


cdef void op_gate_weights(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """a: probabilities; b: ids."""
    cdef Py_ssize_t lo, hi, t
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        weights_row(op, op.a + t * op.a_stride, op.b + t * op.b_stride, op.dst + t * op.dst_stride)


cdef enum:
    OAI = 100                # an act of two values


cdef inline vf gate_times(int act, vf gate, vf up, const float* f) noexcept nogil:
    cdef vf limit = vf_set1(7)
    if act != OAI:
        return vf_mul(activate(act, gate, f), up)
    gate, up = vf_min(gate, limit), vf_max(vf_min(up, limit), vf_set1(-7))
    gate = vf_div(gate, vf_add(vf_set1(1), vexp(vf_mul(gate, vf_set1(-1.702)))))
    return vf_mul(gate, vf_add(up, vf_set1(1)))


cdef void op_swiglu_oai(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """Units of 32 columns, as in elementwise()."""
    cdef Py_ssize_t units = (op.width + BLOCK - 1) // BLOCK, lo, hi, u, t, i
    share(rows_of(op, step) * units, tid, team, &lo, &hi)
    for u in range(lo, hi):
        t, i = u // units, u % units * BLOCK
        while i < min(u % units * BLOCK + BLOCK, <Py_ssize_t>op.width):
            vf_store(op.dst + t * op.dst_stride + i,
                     gate_times(OAI, vf_load(op.a + t * op.a_stride + i), vf_load(op.b + t * op.b_stride + i), NULL))
            i += LANES
        if op.q != NULL:
            leave_copy(op, op.dst + t * op.dst_stride, t, u % units, u % units + 1)


cdef void op_gate_shared(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """dst = a * sigmoid(gain . b); n: values of b."""
    cdef Py_ssize_t lo, hi, t
    cdef int i
    cdef double dot
    cdef float by
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        dot = 0
        for i in range(op.n[0]):
            dot += <double>op.gain[i] * op.b[t * op.b_stride + i]
        by = 1 / (1 + expf(<float>-dot))
        for i in range(op.width):
            op.dst[t * op.dst_stride + i] = op.a[t * op.a_stride + i] * by


cdef void op_experts_scale(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """Weights a times the number in gain of each chosen expert, b. n: count."""
    cdef Py_ssize_t lo, hi, t
    cdef int s
    share(rows_of(op, step), tid, team, &lo, &hi)
    for t in range(lo, hi):
        for s in range(op.width):
            op.dst[t * op.dst_stride + s] = (op.a[t * op.a_stride + s]
                                             * op.gain[expert_at(op, op.b + t * op.b_stride, s)])
