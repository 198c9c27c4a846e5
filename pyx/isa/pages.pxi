# What attention does with a page of the cache: scores of its keys, weighted sums of its values. `kind`, the type that
# the cache holds, is a constant wherever these bodies are compiled; quantized keys and values become floats again as
# they are loaded, so that queries and weights are never rounded.

cdef inline vf load_key(int kind, const uint8_t* k, int d, bint odd, int i) noexcept nogil:
    """Dimension d + odd (d is even) of LANES keys."""
    if kind == TYPE_Q4_0:
        return vf_load_i4(k + d // 2 * KEYS + i * LANES, 4 if odd else 0)
    if kind == TYPE_Q8_0:
        return vf_load_i8(k + (d + odd) * KEYS + i * LANES)
    if kind == TYPE_F16:
        return vf_load_half(k + 2 * ((d + odd) * KEYS + i * LANES))
    return vf_load(<const float*>k + (d + odd) * KEYS + i * LANES)


cdef inline vf load_value(int kind, const uint8_t* v, int i) noexcept nogil:
    """The i-th of two vectors of columns."""
    if kind == TYPE_Q4_0:
        return vf_load_i4(v, 4 if i else 0)
    if kind == TYPE_Q8_0:
        return vf_load_i8(v + i * LANES)
    if kind == TYPE_F16:
        return vf_load_half(v + 2 * i * LANES)
    return vf_load(<const float*>v + i * LANES)


cdef inline void score_dim(int kind, int rows, const float** q, int first, const uint8_t* k, int d, bint odd,
                           vf* acc) noexcept nogil:
    """acc += dimension `first` + d + odd of the queries times that of KEYS keys."""
    cdef vf key
    cdef int parts = KEYS // LANES, r, i
    for i in range(parts):
        key = load_key(kind, k, d, odd, i)
        for r in range(rows):
            acc[r * parts + i] = vf_fma(vf_set1(q[r][first + d + odd]), key, acc[r * parts + i])


cdef inline void score_dims(int kind, int rows, const float** q, int first, int n, const uint8_t* k,
                            vf* acc) noexcept nogil:
    """acc += n dimensions from `first` on, in their order: a row's bits do not depend on how many there are."""
    cdef int d
    for d in range(0, n - 1, 2):
        score_dim(kind, rows, q, first, k, d, False, acc)
        score_dim(kind, rows, q, first, k, d, True, acc)
    if n % 2:
        score_dim(kind, rows, q, first, k, n - 1, False, acc)


cdef inline void score_tile(int kind, int rows, const float** q, const uint8_t* k, int dim, float* s) noexcept nogil:
    """s[r][0:KEYS] = q[r] . key for one tile of keys; rows of s are PAGE apart."""
    cdef vf acc[16]
    cdef vf part[16]
    cdef vf scale
    cdef int parts = KEYS // LANES, r, i, b
    for r in range(rows * parts):
        acc[r] = vf_zero()
    if quantized(kind):
        for b in range((dim + BLOCK - 1) // BLOCK):
            for r in range(rows * parts):
                part[r] = vf_zero()
            score_dims(kind, rows, q, b * BLOCK, min(<int>BLOCK, dim - b * BLOCK), k + 2 * KEYS, part)
            for i in range(parts):
                scale = vf_load_half(k + 2 * i * LANES)
                for r in range(rows):
                    acc[r * parts + i] = vf_fma(scale, part[r * parts + i], acc[r * parts + i])
            k += KEYS * row_bytes(kind, BLOCK)
    else:
        score_dims(kind, rows, q, 0, dim, k, acc)
    for r in range(rows):
        for i in range(parts):
            vf_store(s + r * PAGE + i * LANES, acc[r * parts + i])


cdef inline int few(int rows) noexcept nogil:
    """Rows of the next tile: as many as registers hold, else 4 or less."""
    return ROWS if rows >= ROWS else min(rows, 4)


cdef inline void scores(int kind, int rows, const float** q, const uint8_t* k, int dim, float* s) noexcept nogil:
    cdef int r = 0, n
    while r < rows:
        n = few(rows - r)
        if n >= ROWS:
            score_tile(kind, ROWS, q + r, k, dim, s + r * PAGE)
        elif n >= 4:
            score_tile(kind, 4, q + r, k, dim, s + r * PAGE)
        elif n == 3:
            score_tile(kind, 3, q + r, k, dim, s + r * PAGE)
        elif n == 2:
            score_tile(kind, 2, q + r, k, dim, s + r * PAGE)
        else:
            score_tile(kind, 1, q + r, k, dim, s + r * PAGE)
        r += n


cdef inline void mix_tile(int kind, int rows, int vectors, const float* s, const uint8_t* v, Py_ssize_t step, int keys,
                          float* out, int pad) noexcept nogil:
    """out[r] += sum over keys of s[r][key] * value; values are `step` bytes apart, rows of out `pad` floats."""
    cdef vf acc[16]
    cdef vf value
    cdef int r, i, key
    for r in range(rows):
        for i in range(vectors):
            acc[r * vectors + i] = vf_load(out + r * pad + i * LANES)
    for key in range(keys):
        for i in range(vectors):
            value = load_value(kind, v + key * step, i)
            for r in range(rows):
                acc[r * vectors + i] = vf_fma(vf_set1(s[r * PAGE + key]), value, acc[r * vectors + i])
    for r in range(rows):
        for i in range(vectors):
            vf_store(out + r * pad + i * LANES, acc[r * vectors + i])


cdef inline void mix_columns(int kind, int vectors, int rows, const float* s, const uint8_t* v, Py_ssize_t step,
                             int keys, float* out, int pad) noexcept nogil:
    """All rows, some columns."""
    cdef int r = 0, n
    while r < rows:
        n = few(rows - r)
        if n >= ROWS:
            mix_tile(kind, ROWS, vectors, s + r * PAGE, v, step, keys, out + r * pad, pad)
        elif n >= 4:
            mix_tile(kind, 4, vectors, s + r * PAGE, v, step, keys, out + r * pad, pad)
        elif n == 3:
            mix_tile(kind, 3, vectors, s + r * PAGE, v, step, keys, out + r * pad, pad)
        elif n == 2:
            mix_tile(kind, 2, vectors, s + r * PAGE, v, step, keys, out + r * pad, pad)
        else:
            mix_tile(kind, 1, vectors, s + r * PAGE, v, step, keys, out + r * pad, pad)
        r += n


cdef inline void weigh(int rows, const float* s, const uint8_t* scales, int keys, float* w) noexcept nogil:
    """w = s * scale of each value: codes can be added up as they are. Nothing of s behind `keys` is read."""
    cdef float scale[PAGE]
    cdef int i, r
    for i in range(PAGE // LANES):
        vf_store(scale + i * LANES, vf_load_half(scales + 2 * i * LANES))
    for r in range(rows):
        for i in range(keys):
            w[r * PAGE + i] = s[r * PAGE + i] * scale[i]


cdef inline void mix(int kind, int rows, const float* s, const uint8_t* v, int pad, int keys,
                     float* out) noexcept nogil:
    """out += weights s (rows, PAGE) times the first `keys` values of a page."""
    cdef float w[ROOM * PAGE]
    cdef int d = 0, in_block
    cdef Py_ssize_t step = row_bytes(kind, pad)
    cdef const float* weights = s
    cdef const uint8_t* p
    while d < pad:
        p = v + d * (4 if kind == TYPE_F32 else 2)
        if quantized(kind):
            p = v + d // BLOCK * PAGE * row_bytes(kind, BLOCK)
            step = row_bytes(kind, BLOCK) - 2
            in_block = d % BLOCK
            if in_block == 0:
                weigh(rows, s, p, keys, w)
                weights = w
            p += 2 * PAGE + (in_block if kind == TYPE_Q8_0 else in_block // 2)
        if d + 2 * LANES <= pad:
            mix_columns(kind, 2, rows, weights, p, step, keys, out + d, pad)
            d += 2 * LANES
        else:
            mix_columns(kind, 1, rows, weights, p, step, keys, out + d, pad)
            d += LANES


cdef inline vf scaled_key(int kind, const uint8_t* k, int d, int i) noexcept nogil:
    """Dimension d of the i-th LANES keys of a tile, as numbers."""
    if quantized(kind):
        k += d // BLOCK * KEYS * row_bytes(kind, BLOCK)
        d %= BLOCK
        return vf_mul(vf_load_half(k + 2 * i * LANES), load_key(kind, k + 2 * KEYS, d - d % 2, d % 2, i))
    return load_key(kind, k, d - d % 2, d % 2, i)


cdef inline void mix_keys(int kind, const float* s, const uint8_t* k, Py_ssize_t tile, int dim, int keys,
                          float* out) noexcept nogil:
    """out += one row of weights times the first `dim` of the keys of a page, in tiles of so many bytes.

    Weights behind `keys` are zeros.
    """
    cdef int d, i, j
    cdef vf sum
    for d in range(dim):
        sum = vf_zero()
        for j in range((keys + KEYS - 1) // KEYS):
            for i in range(KEYS // LANES):
                sum = vf_fma(scaled_key(kind, k + j * tile, d, i), vf_load(s + j * KEYS + i * LANES), sum)
        out[d] += vf_sum(sum)


cdef inline void turn_keys(int kind, const uint8_t* k, Py_ssize_t tile, int dim, int step, int tiles,
                           float* out) noexcept nogil:
    """The first `dim` of the keys of a page as rows `step` apart, for all queries that read them as values."""
    cdef float lane[LANES]
    cdef int d, i, j, l
    cdef float* row
    for j in range(tiles):
        for d in range(dim):
            for i in range(KEYS // LANES):
                vf_store(lane, scaled_key(kind, k, d, i))
                row = out + (j * KEYS + i * LANES) * step + d
                for l in range(LANES):
                    row[l * step] = lane[l]
        k += tile


cdef inline void mix_rows(int rows, const float* s, const float* v, int step, int keys, float* out,
                          int pad) noexcept nogil:
    """out += weights s (rows, PAGE) times values of `pad` floats, `step` apart."""
    cdef int d = 0
    while d < pad:
        if d + 2 * LANES <= pad:
            mix_columns(TYPE_F32, 2, rows, s, <const uint8_t*>(v + d), step * 4, keys, out + d, pad)
            d += 2 * LANES
        else:
            mix_columns(TYPE_F32, 1, rows, s, <const uint8_t*>(v + d), step * 4, keys, out + d, pad)
            d += LANES
