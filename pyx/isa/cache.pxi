# The KV cache: where a position's keys and values are, and how they get there.
#
# Keys stand in tiles of KEYS positions, transposed: one vector holds one dimension of KEYS keys, so scores need no
# sums across lanes. Values stand as rows. A page holds PAGE positions of one head; the table finds a sequence's pages.

cdef inline Py_ssize_t page_of(const Cache* c, int seq, int position) noexcept nogil:
    return c.table[<Py_ssize_t>seq * c.pages_per_seq + position // PAGE % c.pages_per_seq]


cdef inline const uint8_t* keys_at(const Cache* c, Py_ssize_t page, int head) noexcept nogil:
    return c.k + (page * c.heads + head) * PAGE * c.k_dim * (2 if c.half else 4)


cdef inline const uint8_t* values_at(const Cache* c, Py_ssize_t page, int head) noexcept nogil:
    return c.v + (page * c.heads + head) * PAGE * c.v_pad * (2 if c.half else 4)


cdef inline vf load_cached(bint half, const uint8_t* p, Py_ssize_t i) noexcept nogil:
    return vf_load_half(p + 2 * i) if half else vf_load((<const float*>p) + i)


cdef inline void store_cached(bint half, uint8_t* p, const float* x, int n, Py_ssize_t step) noexcept nogil:
    """n floats to p, `step` elements apart."""
    cdef int i, j
    cdef uint16_t h[LANES]
    cdef float last[LANES]
    if not half:
        for i in range(n):
            (<float*>p)[i * step] = x[i]
        return
    i = 0
    while i < n:
        if i + LANES <= n:
            vf_store_half(h, vf_load(x + i))
        else:
            for j in range(LANES):
                last[j] = x[i + j] if i + j < n else 0
            vf_store_half(h, vf_load(last))
        for j in range(min(<int>LANES, n - i)):
            (<uint16_t*>p)[(i + j) * step] = h[j]
        i += LANES


cdef void op_store(const Op* op, const Step* step, int tid, int team) noexcept nogil:
    """Keys a and values b of this step into the cache. n: pairs, neox: keys are rotated by c first, if pairs."""
    cdef const Cache* cache = op.cache
    cdef Py_ssize_t lo, hi, u, page
    cdef int run = 0, t, h, slot, size = 2 if cache.half else 4
    cdef float rotated[MAX_HEAD]
    cdef const float* key
    share(<Py_ssize_t>step.n_tokens * cache.heads, tid, team, &lo, &hi)
    for u in range(lo, hi):
        t, h = <int>(u // cache.heads), <int>(u % cache.heads)
        while t >= step.run_start[run + 1]:
            run += 1
        slot = step.position[t] % PAGE
        page = page_of(cache, step.run_seq[run], step.position[t])
        key = op.a + t * op.a_stride + h * cache.k_dim
        if op.n[0]:
            rotate(key, op.c + t * op.c_stride, rotated, cache.k_dim, op.n[0], op.n[1])
            key = rotated
        store_cached(cache.half,
                     <uint8_t*>keys_at(cache, page, h) + ((slot // KEYS * cache.k_dim) * KEYS + slot % KEYS) * size,
                     key, cache.k_dim, KEYS)
        store_cached(cache.half, <uint8_t*>values_at(cache, page, h) + slot * cache.v_pad * size,
                     op.b + t * op.b_stride + h * cache.v_dim, cache.v_dim, 1)
