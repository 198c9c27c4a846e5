# Products with many tokens on a matrix unit (AMX): sixteen rows of activations times sixteen rows of a weight at once.
#
# spread.pxi unpacks codes for it, and they lie as its tiles want them. It multiplies bytes with signs, so nothing is
# raised. Each block's sums pass through memory to the vectors, which scale them: two blocks are on their way while one
# is scaled. Whole sums are those of the other kernels and floats are added in the same order. Types whose blocks have
# two scales are left to the vectors: twice the sums would pass, and half of each tile would be empty.

cdef enum:
    MESH = 16           # rows of activations of a tile
    ON_THEIR_WAY = 2    # blocks
    SUMS = 4            # blocks there is room for

cdef struct Padded:     # the last rows, if they are fewer than a tile's
    uint8_t x[MESH * SPREAD]
    Scale scales[MESH * BLOCKS]     # as far apart as the codes: SPREAD bytes
    float y[MESH * LANES]


cdef inline bint mesh_on(const Matrix* m, int tokens) noexcept nogil:
    """Before products of so many tokens; what it says is for mesh_off."""
    cdef bint used = TILED and m.spread != NULL and tokens >= MANY
    if used:
        tiles_on()
    return used


cdef inline void mesh_off(bint used) noexcept nogil:
    if used:
        tiles_off()


cdef inline void mesh_sums(const Spread* w, int b, int panel, const uint8_t* x, Py_ssize_t stride,
                           vs* sums) noexcept nogil:
    """sums (MESH) of block b; blocks take tiles by turns."""
    tile_sums(b & 1, x + BLOCK * b, stride, &w.codes[8 * b * GROUP + panel], GROUP * sizeof(vu), sums)


cdef inline void mesh_block(bint has_min, const Spread* w, int b, int panel, const vs* sums, const Scale* scales,
                            Py_ssize_t stride, vf* acc) noexcept nogil:
    """acc[t] += block b's sums for row t, scaled."""
    cdef vq q = w.q[2 * b * GROUP + panel]
    cdef vf m = w.m[2 * b * GROUP + panel], d = w.d[b * GROUP + panel], v
    cdef const Scale* scale
    cdef int t, step = in_turn(<int>stride)     # sixteen addresses held in registers would leave none
    for t in range(MESH):
        scale = scales_of(scales + b, step, t)
        v = vt_value(vt_more(vt_zero(), sums[t], q), d)
        if has_min:
            v = vf_fma(m, vf_set1(scale.sum), v)
        acc[t] = vf_fma(v, vf_set1(scale.d), acc[t])


cdef inline void mesh_tile(bint has_min, const Spread* w, int blocks, int panel, const uint8_t* x,
                           const Scale* scales, Py_ssize_t stride, bint first, float* y) noexcept nogil:
    """y (MESH, LANES): some blocks of a panel times MESH rows of activations."""
    cdef vs sums[SUMS][MESH]
    cdef vf acc[MESH]
    cdef int b, t
    for t in range(MESH):
        acc[t] = vf_zero() if first else vf_load(y + t * LANES)
    for b in range(min(blocks, <int>ON_THEIR_WAY)):
        mesh_sums(w, b, panel, x, stride, sums[b])
    b = 0
    while b < blocks:
        b = in_turn(b)
        if b + ON_THEIR_WAY < blocks:
            mesh_sums(w, b + ON_THEIR_WAY, panel, x, stride, sums[(b + ON_THEIR_WAY) % SUMS])
        mesh_block(has_min, w, b, panel, sums[b % SUMS], scales, stride, acc)
        b += 1
    for t in range(MESH):
        vf_store(y + t * LANES, acc[t])


cdef inline void mesh_last(bint has_min, const Spread* w, int blocks, const uint8_t* x, const Scale* scales,
                           Py_ssize_t stride, int rows, Py_ssize_t step, bint first, float* y) noexcept nogil:
    """The same for fewer rows, and all panels: y (GROUP, step, LANES)."""
    cdef Padded last
    cdef int j, t
    memset(&last, 0, sizeof(last))
    for t in range(rows):
        memcpy(last.x + t * SPREAD, x + t * stride, blocks * BLOCK)
        memcpy(&last.scales[t * BLOCKS], scales_of(scales, stride, t), blocks * sizeof(Scale))
    for j in range(GROUP):
        memcpy(last.y, y + j * step * LANES, 0 if first else rows * LANES * sizeof(float))
        mesh_tile(has_min, w, blocks, j, last.x, last.scales, SPREAD, first, last.y)
        memcpy(y + j * step * LANES, last.y, rows * LANES * sizeof(float))


cdef inline void mesh_rows(bint has_min, const Spread* w, int blocks, const uint8_t* x, const Scale* scales,
                           Py_ssize_t stride, int rows, bint first, float* y) noexcept nogil:
    """y (GROUP, rows, LANES): some blocks of GROUP panels times rows of activations."""
    cdef int t = 0, j, line = 0, lines = w.bytes // 64 + 1, each = lines * MESH // rows + 1
    while t + MESH <= rows:
        fetch_next(w, line, min(line + each, lines))
        line += each
        for j in range(GROUP):
            mesh_tile(has_min, w, blocks, j, x + t * stride, scales_of(scales, stride, t), stride, first,
                      y + (j * rows + t) * LANES)
        t += MESH
    if t < rows:
        mesh_last(has_min, w, blocks, x + t * stride, scales_of(scales, stride, t), stride, rows - t, rows,
                  first, y + t * LANES)
