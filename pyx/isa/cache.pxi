# The KV cache: where a position's keys and values are, and how they get there.
#
# Keys stand in tiles of KEYS positions, transposed: one vector holds one dimension of KEYS keys, so scores need no
# sums across lanes. Values stand as rows. A page holds PAGE positions of one head; the table finds a sequence's pages.
#
# Q8_0 and Q4_0 are blocks of 32 dimensions of one position with one half scale, as GGUF defines them, regrouped:
#   keys     for each block: the scales of KEYS positions, then each dimension's KEYS codes (of 4 bits: two
#            neighbouring dimensions to a byte, the even one low)
#   values   for each block: the scales of PAGE positions, then their rows of 32 codes (of 4 bits: in groups of
#            2 * LANES columns, the first half of a group low, the second high)
# Before they are rounded keys and values go through a Hadamard transform H, which spreads a dimension that is much
# larger than the others over all of its group. H is symmetric and H H = n for groups of n, so that scores are
# (H q / n) . (H k) and outputs are H / n times the sum of H v. (llama.cpp does the same, pull request 21038.)
from llama_gguf.engine.blocks cimport TYPE_F16, TYPE_F32, TYPE_Q4_0, TYPE_Q8_0

cdef enum:
    KEY_GROUP = 512         # dimensions that H mixes at most
    VALUE_GROUP = 64


cdef inline bint quantized(int kind) noexcept nogil:
    return kind == TYPE_Q8_0 or kind == TYPE_Q4_0


cdef inline Py_ssize_t row_bytes(int kind, int dim) noexcept nogil:
    """Bytes of one position."""
    if quantized(kind):
        return (dim + BLOCK - 1) // BLOCK * (34 if kind == TYPE_Q8_0 else 18)
    return dim * (4 if kind == TYPE_F32 else 2)


cdef inline int key_group(const Cache* c) noexcept nogil:
    """Dimensions of a key that H mixes at most; where values are part of the keys, none of them mixes with others."""
    return min(<int>KEY_GROUP, c.v_dim & -c.v_dim) if c.v == NULL else KEY_GROUP


cdef inline int value_group(const Cache* c) noexcept nogil:
    return min(<int>KEY_GROUP, c.k_dim & -c.k_dim) if c.v == NULL else VALUE_GROUP


cdef inline Py_ssize_t page_of(const Cache* c, int seq, int position) noexcept nogil:
    return c.table[<Py_ssize_t>seq * c.pages_per_seq + position // PAGE % c.pages_per_seq]


cdef inline uint8_t* keys_at(const Cache* c, Py_ssize_t page, int head, int slot) noexcept nogil:
    """The tile of keys that holds a slot (0 ... PAGE - 1) of a page."""
    return c.k + ((page * c.heads + head) * PAGE + slot // KEYS * KEYS) * row_bytes(c.kind, c.k_dim)


cdef inline uint8_t* values_at(const Cache* c, Py_ssize_t page, int head) noexcept nogil:
    return NULL if c.v == NULL else c.v + (page * c.heads + head) * PAGE * row_bytes(c.kind, c.v_pad)


cdef inline void hadamard(float* x, int dim, int most, bint back) noexcept nogil:
    """x = H x, or H x / n; groups of n dimensions, the largest power of two that divides `dim`, at most `most`."""
    cdef int n = min(dim & -dim, most), s = 1, i, j
    cdef float p
    cdef vf v
    while s < n:
        i = 0
        while i < dim:
            if i & s:                   # the upper half of a pair of runs of s: done with the lower
                i += s
            elif s >= LANES:
                v = vf_load(x + i)
                vf_store(x + i, vf_add(v, vf_load(x + i + s)))
                vf_store(x + i + s, vf_sub(v, vf_load(x + i + s)))
                i += LANES
            else:
                for j in range(i, i + s):
                    p = x[j]
                    x[j], x[j + s] = p + x[j + s], p - x[j + s]
                i += 2 * s
        s *= 2
    if back:
        for i in range(dim):
            x[i] *= <float>1 / n


cdef inline float largest(const float* x) noexcept nogil:
    """The first of the values of a block that lie farthest from zero, with its sign."""
    cdef float top = 0
    cdef int i
    for i in range(BLOCK):
        if fabsf(x[i]) > fabsf(top):
            top = x[i]
    return top


cdef inline float codes_of_8_bits(const float* x, int8_t* code) noexcept nogil:
    """Codes of a block as llama.cpp rounds them; the scale."""
    cdef float d = fabsf(largest(x)) / 127
    cdef float inverse = 1 / d if d > 1e-30 else 0      # smaller still, and 1 / d is infinite
    cdef int i
    for i in range(BLOCK // LANES):
        vf_store_i8(code + i * LANES, vf_round(vf_mul(vf_load(x + i * LANES), vf_set1(inverse))))
    return d


cdef inline float codes_of_4_bits(const float* x, int8_t* code) noexcept nogil:
    """Codes -8 ... 7 of a block; the scale, which has the sign that gives the largest value the code -8.

    llama.cpp's scale is largest / -8. A larger code range, clipped, is often better: the better of two is taken, each
    with the scale that fits its codes best. On normal values this takes 8% off the squared error.
    """
    cdef float top = largest(x), d = top / -8, inverse
    cdef int8_t tried[BLOCK]
    cdef double both, gain = 0
    cdef int i, k, square
    memset(code, 0, BLOCK)
    if fabsf(top) < 1e-30:
        return 0
    for k in range(2):
        inverse = 1 / (top / -(<float>8.5 if k else <float>8))
        both, square = 0, 0
        for i in range(BLOCK):
            tried[i] = <int8_t>(min(15, <int>(x[i] * inverse + <float>8.5)) - 8)
            both += <double>x[i] * tried[i]
            square += tried[i] * tried[i]
        if both * both > gain * square:                 # what the codes explain of the sum of squares
            gain, d = both * both / square, <float>(both / square)
            memcpy(code, tried, BLOCK)
    return d


cdef inline void store_blocks(int kind, bint keys, int group, float* x, int dim, int slot, uint8_t* p) noexcept nogil:
    """One position's keys into the tile p, or its values into the page p. x has room for whole blocks."""
    cdef int8_t code[BLOCK]
    cdef uint16_t half[LANES]
    cdef float d
    cdef int b, i, many = KEYS if keys else PAGE, at = slot % KEYS if keys else slot, pair = 2 * LANES
    cdef int step = KEYS if keys else 1                 # from one byte of codes to the next
    cdef uint8_t* codes
    for i in range(dim, (dim + BLOCK - 1) // BLOCK * BLOCK):
        x[i] = 0
    hadamard(x, dim, group, False)
    for b in range((dim + BLOCK - 1) // BLOCK):
        if kind == TYPE_Q8_0:
            d = codes_of_8_bits(x + b * BLOCK, code)
        else:
            d = codes_of_4_bits(x + b * BLOCK, code)
        vf_store_half(half, vf_set1(d))
        (<uint16_t*>p)[at] = half[0]
        codes = p + 2 * many + (at if keys else at * (BLOCK if kind == TYPE_Q8_0 else BLOCK // 2))
        if kind == TYPE_Q8_0:
            for i in range(BLOCK):
                codes[i * step] = <uint8_t>code[i]
        elif keys:
            for i in range(BLOCK // 2):
                codes[i * step] = <uint8_t>((code[2 * i] & 15) | (code[2 * i + 1] & 15) << 4)
        else:
            for i in range(BLOCK // 2):
                codes[i] = <uint8_t>((code[i // LANES * pair + i % LANES] & 15)
                                     | (code[i // LANES * pair + LANES + i % LANES] & 15) << 4)
        p += many * row_bytes(kind, BLOCK)


cdef inline void store_floats(int kind, const float* x, int n, Py_ssize_t step, uint8_t* p) noexcept nogil:
    """n floats to p, `step` elements apart, as F32 or F16."""
    cdef int i, j
    cdef uint16_t h[LANES]
    cdef float last[LANES]
    if kind == TYPE_F32:
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
    cdef int run = 0, t, h, slot, size = 4 if cache.kind == TYPE_F32 else 2
    cdef float x[MAX_HEAD]
    cdef const float* key
    cdef const float* value
    cdef uint8_t* k
    cdef uint8_t* v
    share(<Py_ssize_t>step.n_tokens * cache.heads, tid, team, &lo, &hi)
    for u in range(lo, hi):
        t, h = <int>(u // cache.heads), <int>(u % cache.heads)
        while t >= step.run_start[run + 1]:
            run += 1
        slot = step.position[t] % PAGE
        page = page_of(cache, step.run_seq[run], step.position[t])
        k, v = keys_at(cache, page, h, slot), values_at(cache, page, h)
        key, value = op.a + t * op.a_stride + h * cache.k_dim, op.b + t * op.b_stride + h * cache.v_dim
        if op.n[0]:
            rotate(key, op.c + t * op.c_stride, x, cache.k_dim, op.n[0], op.n[1])
            key = x
        if quantized(cache.kind):
            memmove(x, key, cache.k_dim * sizeof(float))
            store_blocks(cache.kind, True, key_group(cache), x, cache.k_dim, slot, k)
            if v != NULL:
                memcpy(x, value, cache.v_dim * sizeof(float))
                store_blocks(cache.kind, False, value_group(cache), x, cache.v_dim, slot, v)
        else:
            store_floats(cache.kind, key, cache.k_dim, KEYS, k + slot % KEYS * size)
            if v != NULL:
                store_floats(cache.kind, value, cache.v_dim, 1, v + slot * cache.v_pad * size)
