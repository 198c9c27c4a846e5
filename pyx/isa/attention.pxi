# Attention over the pages of the KV cache. Softmax runs online over pages (Milakov and Gimelshein, arXiv 1805.02867).

cdef struct Softmax:     # of one query row: largest score, sum of exponentials
    float top
    float sum


cdef inline float sexp(float x) noexcept nogil:
    cdef float y[LANES]
    vf_store(y, vexp(vf_set1(x)))
    return y[0]


cdef inline void soften(float* s, int first, int last, float scale, int pad, Softmax* soft, float* out) noexcept nogil:
    """One row of a page: scores [first, last) become weights; the row's sum and output are brought up to date."""
    cdef vf top = vf_set1(-1e30), total = vf_zero()
    cdef float peak, shrink
    cdef int i
    first, last = min(max(first, 0), <int>PAGE), min(last, <int>PAGE)
    for i in range(first):
        s[i] = -1e30
    for i in range(max(last, 0), PAGE):
        s[i] = -1e30
    if first < last:
        for i in range(PAGE // LANES):
            top = vf_max(top, vf_load(s + i * LANES))
        peak = vf_top(top) * scale
        if peak > soft.top:
            shrink = sexp(soft.top - peak) if soft.sum > 0 else 0
            soft.top, soft.sum = peak, soft.sum * shrink
            for i in range(pad // LANES):
                vf_store(out + i * LANES, vf_mul(vf_load(out + i * LANES), vf_set1(shrink)))
    for i in range(PAGE // LANES):
        vf_store(s + i * LANES, vexp(vf_fma(vf_load(s + i * LANES), vf_set1(scale), vf_set1(-soft.top))))
    for i in range(first):
        s[i] = 0
    for i in range(max(last, 0), PAGE):
        s[i] = 0
    for i in range(PAGE // LANES):
        total = vf_add(total, vf_load(s + i * LANES))
    soft.sum += vf_sum(total)


cdef inline int first_seen(const Op* op, int pos) noexcept nogil:
    """The first position that a query sees; a window reaches back, or half of it to either side, or stands still."""
    if op.n[2] == 0:
        return 0
    if op.n[3] < 0:
        return pos - pos % op.n[2]
    return max(0, pos - (op.n[2] // 2 if op.n[3] else op.n[2] - 1))


cdef inline int last_seen(const Op* op, const Step* step, int run, int pos) noexcept nogil:
    """One more than the last."""
    cdef int end
    if op.n[3] <= 0:
        return pos + 1
    end = step.position[step.run_start[run + 1] - 1] + 1
    return min(end, pos + op.n[2] // 2 + 1) if op.n[2] else end


cdef inline bint bent(const Op* op) noexcept nogil:
    return op.f[1] != 0 or op.bias != NULL


cdef inline void bend(const Op* op, float* s, int head, int at, int pos) noexcept nogil:
    """Scaled scores of the page from position `at` on: capped by tanh, less a slope times the distance (ALiBi)."""
    cdef int i
    cdef vf v
    for i in range(PAGE // LANES):
        v = vf_mul(vf_load(s + i * LANES), vf_set1(op.f[0]))
        vf_store(s + i * LANES, activate(SOFTCAP, v, op.f + 1) if op.f[1] else v)
    if op.bias != NULL:
        for i in range(PAGE):
            s[i] -= op.bias[head] * fabsf(<float>(at + i - pos))


cdef inline void fetch(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Ask memory for n bytes that are wanted soon: pages are too short for a processor to foresee them."""
    cdef Py_ssize_t i
    for i in range((n + 63) // 64):
        prefetch(p + 64 * i)


cdef inline void attend_pages(int kind, const Op* op, const Step* step, int run, const float** q, int t0, int tokens,
                              int first_head, int heads, int first, int last, float* room) noexcept nogil:
    cdef const Cache* c = op.cache
    cdef int rows = tokens * heads, head = first_head // (op.n[0] // c.heads), seq = step.run_seq[run]
    cdef int r, at, j, keys, pos
    cdef float scale = 1 if bent(op) else op.f[0]
    cdef float* s = room + ROOM * (c.v_pad + 2)
    cdef Softmax* soft = <Softmax*>(room + ROOM * c.v_pad)
    cdef Py_ssize_t page, next_page, key_bytes = KEYS * row_bytes(kind, c.k_dim)
    cdef Py_ssize_t value_bytes = KEYS * row_bytes(kind, c.v_pad)
    cdef float* values = room + ROOM * (c.v_pad + 2 + PAGE + c.k_dim)   # where keys are values too
    for r in range(rows):
        soft[r].top, soft[r].sum = -1e30, 0
    memset(room, 0, rows * c.v_pad * sizeof(float))
    at = first // PAGE * PAGE
    while at < last:
        page = page_of(c, seq, at)
        keys = min(<int>PAGE, last - at)
        for j in range((keys + KEYS - 1) // KEYS):
            if c.v != NULL:
                fetch(values_at(c, page, head) + j * value_bytes, value_bytes)
            scores(kind, rows, q, keys_at(c, page, head, j * KEYS), c.k_dim, s + j * KEYS)
        if at + PAGE < last:
            next_page = page_of(c, seq, at + PAGE)
            fetch(keys_at(c, next_page, head, 0), PAGE // KEYS * key_bytes)
        for r in range(rows):
            pos = step.position[t0 + r // heads]
            if bent(op):
                bend(op, s + r * PAGE, first_head + r % heads, at, pos)
            soften(s + r * PAGE, max(first, first_seen(op, pos)) - at, min(last, last_seen(op, step, run, pos)) - at,
                   scale, c.v_pad, &soft[r], room + r * c.v_pad)
        if c.v != NULL:
            mix(kind, rows, s, values_at(c, page, head), c.v_pad, keys, room)
        else:
            turn_keys(kind, keys_at(c, page, head, 0), key_bytes, c.v_dim, c.v_pad + KEYS, (keys + KEYS - 1) // KEYS,
                      values)
            mix_rows(rows, s, values, c.v_pad + KEYS, keys, room, c.v_pad)
        at += PAGE


cdef void attend_rows(const Op* op, const Step* step, int run, const float** q, int t0, int tokens, int first_head,
                      int heads, int first, int last, float* room) noexcept nogil:
    """Queries of `heads` heads that share a key head, of tokens t0 ..., over positions [first, last).

    Leaves (rows, v_pad) unnormalized outputs at room, then rows of Softmax behind ROOM rows.
    """
    if op.cache.kind == TYPE_F16:
        attend_pages(TYPE_F16, op, step, run, q, t0, tokens, first_head, heads, first, last, room)
    elif op.cache.kind == TYPE_F32:
        attend_pages(TYPE_F32, op, step, run, q, t0, tokens, first_head, heads, first, last, room)
    elif op.cache.kind == TYPE_Q8_0:
        attend_pages(TYPE_Q8_0, op, step, run, q, t0, tokens, first_head, heads, first, last, room)
    else:
        attend_pages(TYPE_Q4_0, op, step, run, q, t0, tokens, first_head, heads, first, last, room)


cdef inline void find_queries(const Op* op, int t0, int rows, int first_head, int heads, float* room,
                              const float** q) noexcept nogil:
    """Where the queries of attend_rows are; transformed like the keys, they stand behind its other room."""
    cdef const Cache* c = op.cache
    cdef float* copy = room + ROOM * (c.v_pad + 2 + PAGE)
    cdef int r
    for r in range(rows):
        q[r] = op.a + (t0 + r // heads) * op.a_stride + (first_head + r % heads) * c.k_dim
        if quantized(c.kind):
            memcpy(copy, q[r], c.k_dim * sizeof(float))
            hadamard(copy, c.k_dim, key_group(c), True)
            q[r] = copy
            copy += c.k_dim


cdef inline void attend_part(const Op* op, const Step* step, int run, const float** q, int t, int first_head,
                             int heads, int part, int start, int end, float* room) noexcept nogil:
    """Some query heads of one key head, at one token, over one part of the positions [start, end)."""
    cdef const Cache* c = op.cache
    cdef int i
    cdef Py_ssize_t row, size = c.v_pad + 2
    cdef float* dst
    cdef Softmax* soft = <Softmax*>(room + ROOM * c.v_pad)
    attend_rows(op, step, run, q, t, 1, first_head, heads, max(start, part * SPAN), min(end, (part + 1) * SPAN), room)
    for i in range(heads):
        row = <Py_ssize_t>t * op.n[0] + first_head + i
        dst = op.scratch + (row * op.n[1] + part - start // SPAN) * size
        dst[0], dst[1] = soft[i].top, soft[i].sum
        memcpy(dst + 2, room + i * c.v_pad, c.v_pad * sizeof(float))


cdef inline void attend_split(const Op* op, const Step* step, int tid, int team, float* room) noexcept nogil:
    """Few tokens: a unit is (token, key head, some of its query heads, SPAN positions); op_merge puts them together."""
    cdef const Cache* c = op.cache
    cdef int group = op.n[0] // c.heads, unit = 0, run, t, h, g, n, part, start, end
    cdef const float* q[ROOM]
    cdef bint found
    for run in range(step.n_runs):
        for t in range(step.run_start[run], step.run_start[run + 1]):
            start = first_seen(op, step.position[t])
            end = last_seen(op, step, run, step.position[t])
            for h in range(c.heads):
                g = 0
                while g < group:
                    n, found = min(<int>ROOM, group - g), False
                    for part in range(start // SPAN, (end - 1) // SPAN + 1):
                        unit += 1
                        if unit % team != tid:
                            continue
                        if not found:
                            find_queries(op, t, n, h * group + g, n, room, q)
                            found = True
                        attend_part(op, step, run, q, t, h * group + g, n, part, start, end, room)
                    g += ROOM


cdef inline void add_sink(const Op* op, int head, float top, float* sum) noexcept nogil:
    """A head's learned extra score takes its part of the sum of exponentials, and gives no value."""
    if op.gain != NULL:
        sum[0] += sexp(op.gain[head] - top)


cdef inline void attend_whole(const Op* op, const Step* step, int tid, int team, float* room) noexcept nogil:
    """Many tokens: a unit is (tile of tokens of one run, key head, its query heads)."""
    cdef const Cache* c = op.cache
    cdef int group = op.n[0] // c.heads, unit = 0, run, t, h, g, n, i, j, heads, start
    cdef int tile = max(1, ROOM // group)
    cdef const float* q[ROOM]
    cdef float* y
    cdef Softmax* soft = <Softmax*>(room + ROOM * c.v_pad)
    for run in range(step.n_runs):
        t = step.run_start[run]
        while t < step.run_start[run + 1]:
            n = min(tile, step.run_start[run + 1] - t)
            start = first_seen(op, step.position[t])
            for h in range(c.heads):
                unit += 1
                if unit % team != tid:
                    continue
                g = 0
                while g < group:
                    heads = min(<int>ROOM, group - g)
                    find_queries(op, t, n * heads, h * group + g, heads, room, q)
                    attend_rows(op, step, run, q, t, n, h * group + g, heads, start,
                                last_seen(op, step, run, step.position[t + n - 1]), room)
                    for i in range(n * heads):
                        add_sink(op, h * group + g + i % heads, soft[i].top, &soft[i].sum)
                        y = op.dst + (t + i // heads) * op.dst_stride + (h * group + g + i % heads) * c.v_dim
                        for j in range(c.v_dim):
                            y[j] = room[i * c.v_pad + j] / soft[i].sum
                        if quantized(c.kind):
                            hadamard(y, c.v_dim, value_group(c), True)
                    g += ROOM
            t += n


cdef void op_attend(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: heads, parts at most, window (0: none), 1 both ways or -1 in chunks; f: scale, cap (0: none); gain: sinks;
    bias: slopes.

    c: per-thread room; scratch: parts of split attention.
    """
    cdef float* room = <float*>op.c + tid * op.c_stride
    if step.n_tokens <= SPLIT_TOKENS:
        attend_split(op, step, tid, team, room)
    else:
        attend_whole(op, step, tid, team, room)


cdef void op_merge(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """Put the parts of split attention together, in the order of positions; quantize for the projection."""
    cdef const Cache* c = op.cache
    cdef int heads = op.n[0], run = 0, t, h, i, part, parts
    cdef Py_ssize_t lo, hi
    cdef const float* p
    cdef float* y
    cdef float top, sum, w
    share(step.n_tokens, tid, team, &lo, &hi)
    for t in range(lo, hi):
        while t >= step.run_start[run + 1]:
            run += 1
        for h in range(heads if step.n_tokens <= SPLIT_TOKENS else 0):
            parts = ((last_seen(op, step, run, step.position[t]) - 1) // SPAN + 1
                     - first_seen(op, step.position[t]) // SPAN)
            p = op.scratch + (<Py_ssize_t>t * heads + h) * op.n[1] * (c.v_pad + 2)
            y = op.dst + t * op.dst_stride + h * c.v_dim
            top, sum = -1e30, 0
            for part in range(parts):
                top = max(top, p[part * (c.v_pad + 2)])
            memset(y, 0, c.v_dim * sizeof(float))
            for part in range(parts):
                w = sexp(p[0] - top)
                sum += w * p[1]
                for i in range(c.v_dim):
                    y[i] += w * p[2 + i]
                p += c.v_pad + 2
            add_sink(op, h, top, &sum)
            for i in range(c.v_dim):
                y[i] /= sum
            if quantized(c.kind):
                hadamard(y, c.v_dim, value_group(c), True)
        if op.q != NULL:
            leave_copy(op, op.dst + t * op.dst_stride, t, 0, op.width // BLOCK)
