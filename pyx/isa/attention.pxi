# Attention over the pages of the KV cache. Softmax runs online over pages (Milakov and Gimelshein, arXiv 1805.02867).

cdef struct Softmax:     # of one query row: largest score, sum of exponentials
    float top
    float sum


cdef inline void score_tile(bint half, int rows, const float** q, const uint8_t* k, int dim, float* s) noexcept nogil:
    """s[r][0:KEYS] = q[r] . key for one tile of keys; rows of s are PAGE apart."""
    cdef vf acc[16]
    cdef vf key
    cdef int parts = KEYS // LANES, r, i, d
    for r in range(rows * parts):
        acc[r] = vf_zero()
    for d in range(dim):
        for i in range(parts):
            key = load_cached(half, k, d * KEYS + i * LANES)
            for r in range(rows):
                acc[r * parts + i] = vf_fma(vf_set1(q[r][d]), key, acc[r * parts + i])
    for r in range(rows):
        for i in range(parts):
            vf_store(s + r * PAGE + i * LANES, acc[r * parts + i])


cdef inline int few(int rows) noexcept nogil:
    """Rows of the next tile: as many as registers hold, else a power of two."""
    return ROWS if rows >= ROWS else 4 if rows >= 4 else 2 if rows >= 2 else 1


cdef inline void scores(bint half, int rows, const float** q, const uint8_t* k, int dim, float* s) noexcept nogil:
    cdef int r = 0, n
    while r < rows:
        n = few(rows - r)
        if n >= ROWS:
            score_tile(half, ROWS, q + r, k, dim, s + r * PAGE)
        elif n >= 4:
            score_tile(half, 4, q + r, k, dim, s + r * PAGE)
        elif n >= 2:
            score_tile(half, 2, q + r, k, dim, s + r * PAGE)
        else:
            score_tile(half, 1, q + r, k, dim, s + r * PAGE)
        r += n


cdef inline void mix_tile(bint half, int rows, int vectors, const float* s, const uint8_t* v, int pad, int keys,
                          float* out) noexcept nogil:
    """out[r] += sum over keys of s[r][key] * value; rows of out are `pad` apart."""
    cdef vf acc[16]
    cdef vf value
    cdef int r, i, key
    for r in range(rows):
        for i in range(vectors):
            acc[r * vectors + i] = vf_load(out + r * pad + i * LANES)
    for key in range(keys):
        for i in range(vectors):
            value = load_cached(half, v, key * pad + i * LANES)
            for r in range(rows):
                acc[r * vectors + i] = vf_fma(vf_set1(s[r * PAGE + key]), value, acc[r * vectors + i])
    for r in range(rows):
        for i in range(vectors):
            vf_store(out + r * pad + i * LANES, acc[r * vectors + i])


cdef inline void mix_columns(bint half, int vectors, int rows, const float* s, const uint8_t* v, int pad, int keys,
                             float* out) noexcept nogil:
    """All rows, some columns."""
    cdef int r = 0, n
    while r < rows:
        n = few(rows - r)
        if n >= ROWS:
            mix_tile(half, ROWS, vectors, s + r * PAGE, v, pad, keys, out + r * pad)
        elif n >= 4:
            mix_tile(half, 4, vectors, s + r * PAGE, v, pad, keys, out + r * pad)
        elif n >= 2:
            mix_tile(half, 2, vectors, s + r * PAGE, v, pad, keys, out + r * pad)
        else:
            mix_tile(half, 1, vectors, s + r * PAGE, v, pad, keys, out + r * pad)
        r += n


cdef inline void mix(bint half, int rows, const float* s, const uint8_t* v, int pad, int keys,
                     float* out) noexcept nogil:
    cdef int d = 0, size = 2 if half else 4
    while d < pad:
        if d + 2 * LANES <= pad:
            mix_columns(half, 2, rows, s, v + d * size, pad, keys, out + d)
            d += 2 * LANES
        else:
            mix_columns(half, 1, rows, s, v + d * size, pad, keys, out + d)
            d += LANES


cdef inline float sexp(float x) noexcept nogil:
    cdef float y[LANES]
    vf_store(y, vexp(vf_set1(x)))
    return y[0]


cdef inline void soften(float* s, int first, int last, float scale, int pad, Softmax* soft, float* out) noexcept nogil:
    """One row of a page: scores [first, last) become weights; the row's sum and output are brought up to date."""
    cdef vf top = vf_set1(-1e30), total = vf_zero()
    cdef float peak, shrink
    cdef int i
    first, last = max(first, 0), min(last, <int>PAGE)
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


cdef inline void attend_rows(bint half, const Op* op, const Step* step, int seq, int t0, int tokens, int head,
                             int first_head, int heads, int first, int last, float* room) noexcept nogil:
    """Queries of `heads` heads that share key head `head`, of tokens t0 ..., over positions [first, last).

    Leaves (rows, v_pad) unnormalized outputs at room, then rows of Softmax behind ROOM rows.
    """
    cdef const Cache* c = op.cache
    cdef int rows = tokens * heads, window = op.n[2], r, at, j, keys, pos, size = 2 if half else 4
    cdef float* s = room + ROOM * (c.v_pad + 2)
    cdef Softmax* soft = <Softmax*>(room + ROOM * c.v_pad)
    cdef const float* q[ROOM]
    cdef const uint8_t* k
    cdef Py_ssize_t page
    for r in range(rows):
        q[r] = op.a + (t0 + r // heads) * op.a_stride + (first_head + r % heads) * c.k_dim
        soft[r].top, soft[r].sum = -1e30, 0
    memset(room, 0, rows * c.v_pad * sizeof(float))
    at = first // PAGE * PAGE
    while at < last:
        page = page_of(c, seq, at)
        keys = min(<int>PAGE, last - at)
        k = keys_at(c, page, head)
        for j in range((keys + KEYS - 1) // KEYS):
            scores(half, rows, q, k + j * KEYS * c.k_dim * size, c.k_dim, s + j * KEYS)
        for r in range(rows):
            pos = step.position[t0 + r // heads]
            soften(s + r * PAGE, max(first, pos - window + 1 if window else 0) - at, min(last, pos + 1) - at,
                   op.f[0], c.v_pad, &soft[r], room + r * c.v_pad)
        mix(half, rows, s, values_at(c, page, head), c.v_pad, keys, room)
        at += PAGE


cdef inline void attend_part(bint half, const Op* op, const Step* step, int seq, int t, int h, int part, int start,
                             float* room) noexcept nogil:
    """The query heads of key head h, at one token, over one part of the positions."""
    cdef const Cache* c = op.cache
    cdef int group = op.n[0] // c.heads, g = 0, n, i
    cdef Py_ssize_t row, size = c.v_pad + 2
    cdef float* dst
    cdef Softmax* soft = <Softmax*>(room + ROOM * c.v_pad)
    while g < group:
        n = min(<int>ROOM, group - g)
        attend_rows(half, op, step, seq, t, 1, h, h * group + g, n, max(start, part * SPAN),
                    min(step.position[t] + 1, (part + 1) * SPAN), room)
        for i in range(n):
            row = <Py_ssize_t>t * op.n[0] + h * group + g + i
            dst = op.scratch + (row * op.n[1] + part - start // SPAN) * size
            dst[0], dst[1] = soft[i].top, soft[i].sum
            memcpy(dst + 2, room + i * c.v_pad, c.v_pad * sizeof(float))
        g += ROOM


cdef inline void attend_split(bint half, const Op* op, const Step* step, int tid, int team, float* room) noexcept nogil:
    """Few tokens: a unit is (token, key head, SPAN positions); parts are put together by op_merge."""
    cdef const Cache* c = op.cache
    cdef int unit = 0, run, t, h, part, pos, start
    for run in range(step.n_runs):
        for t in range(step.run_start[run], step.run_start[run + 1]):
            pos = step.position[t]
            start = max(0, pos - op.n[2] + 1) if op.n[2] else 0
            for h in range(c.heads):
                for part in range(start // SPAN, pos // SPAN + 1):
                    unit += 1
                    if unit % team == tid:
                        attend_part(half, op, step, step.run_seq[run], t, h, part, start, room)


cdef inline void attend_whole(bint half, const Op* op, const Step* step, int tid, int team, float* room) noexcept nogil:
    """Many tokens: a unit is (tile of tokens of one run, key head, some of its query heads)."""
    cdef const Cache* c = op.cache
    cdef int group = op.n[0] // c.heads, unit = 0, run, t, h, g, n, i, j, heads, start
    cdef int tile = max(1, ROOM // group)
    cdef float* y
    cdef Softmax* soft = <Softmax*>(room + ROOM * c.v_pad)
    for run in range(step.n_runs):
        t = step.run_start[run]
        while t < step.run_start[run + 1]:
            n = min(tile, step.run_start[run + 1] - t)
            start = max(0, step.position[t] - op.n[2] + 1) if op.n[2] else 0
            for h in range(c.heads):
                unit += 1
                if unit % team != tid:
                    continue
                g = 0
                while g < group:
                    heads = min(<int>ROOM, group - g)
                    attend_rows(half, op, step, step.run_seq[run], t, n, h, h * group + g, heads, start,
                                step.position[t + n - 1] + 1, room)
                    for i in range(n * heads):
                        y = op.dst + (t + i // heads) * op.dst_stride + (h * group + g + i % heads) * c.v_dim
                        for j in range(c.v_dim):
                            y[j] = room[i * c.v_pad + j] / soft[i].sum
                    g += ROOM
            t += n


cdef void op_attend(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """n: heads, parts at most, window (0: none); f: scale. c: per-thread room; scratch: parts of split attention."""
    cdef float* room = <float*>op.c + tid * op.c_stride
    if step.n_tokens <= SPLIT_TOKENS:
        if op.cache.half:
            attend_split(True, op, step, tid, team, room)
        else:
            attend_split(False, op, step, tid, team, room)
    elif op.cache.half:
        attend_whole(True, op, step, tid, team, room)
    else:
        attend_whole(False, op, step, tid, team, room)


cdef void op_merge(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """Put the parts of split attention together, in the order of positions; quantize for the projection."""
    cdef const Cache* c = op.cache
    cdef int heads = op.n[0], t, h, i, part, parts, start
    cdef Py_ssize_t lo, hi
    cdef const float* p
    cdef float* y
    cdef float top, sum, w
    share(step.n_tokens, tid, team, &lo, &hi)
    for t in range(lo, hi):
        for h in range(heads if step.n_tokens <= SPLIT_TOKENS else 0):
            start = max(0, step.position[t] - op.n[2] + 1) // SPAN if op.n[2] else 0
            parts = step.position[t] // SPAN + 1 - start
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
            for i in range(c.v_dim):
                y[i] /= sum
        if op.q != NULL:
            leave_copy(op, op.dst + t * op.dst_stride, t, 0, op.width // BLOCK)
