# From rows of a file to panels of LANES rows (the layout is told in gemm.pxi).
#
# Each type says how one of its blocks reads as plain codes and scales; one writer turns those into panels.

cdef struct Codes:           # one block of one row: 32 columns, or 256 for K types
    uint8_t q[256]
    uint8_t d[2]             # half scale, as it stands in the file
    uint8_t m[2]             # half minimum
    uint8_t scale[16]        # of each 32 (K) or 16 (K16) columns
    uint8_t least[8]

ctypedef void (*decode_fn)(const uint8_t* block, Codes* out) noexcept nogil


cdef inline void nibbles(const uint8_t* b, uint8_t* q, int n) noexcept nogil:
    """n bytes hold codes j (low half) and j + n (high half)."""
    cdef int j
    for j in range(n):
        q[j], q[j + n] = b[j] & 15, b[j] >> 4


cdef inline void fifth_bits(const uint8_t* b, uint8_t* q) noexcept nogil:
    """Bit j of 32 belongs to code j."""
    cdef int j
    for j in range(32):
        q[j] |= (b[j >> 3] >> (j & 7) & 1) << 4


cdef void decode_q4_0(const uint8_t* b, Codes* c) noexcept nogil:
    memcpy(c.d, b, 2)
    nibbles(b + 2, c.q, 16)


cdef void decode_q4_1(const uint8_t* b, Codes* c) noexcept nogil:
    memcpy(c.d, b, 2)
    memcpy(c.m, b + 2, 2)
    nibbles(b + 4, c.q, 16)


cdef void decode_q5_0(const uint8_t* b, Codes* c) noexcept nogil:
    memcpy(c.d, b, 2)
    nibbles(b + 6, c.q, 16)
    fifth_bits(b + 2, c.q)


cdef void decode_q5_1(const uint8_t* b, Codes* c) noexcept nogil:
    memcpy(c.d, b, 2)
    memcpy(c.m, b + 2, 2)
    nibbles(b + 8, c.q, 16)
    fifth_bits(b + 4, c.q)


cdef void decode_q8_0(const uint8_t* b, Codes* c) noexcept nogil:
    cdef int j
    memcpy(c.d, b, 2)
    for j in range(32):
        c.q[j] = <uint8_t>(b[2 + j] + Q8_OFFSET)


cdef inline void scales_k(const uint8_t* b, Codes* c) noexcept nogil:
    """Eight 6-bit scales and minima in twelve bytes."""
    cdef int j
    for j in range(4):
        c.scale[j], c.least[j] = b[j] & 63, b[j + 4] & 63
        c.scale[j + 4] = (b[j + 8] & 15) | (b[j] >> 6) << 4
        c.least[j + 4] = (b[j + 8] >> 4) | (b[j + 4] >> 6) << 4


cdef void decode_q4_k(const uint8_t* b, Codes* c) noexcept nogil:
    cdef int j
    memcpy(c.d, b, 2)
    memcpy(c.m, b + 2, 2)
    scales_k(b + 4, c)
    for j in range(4):
        nibbles(b + 16 + 32 * j, c.q + 64 * j, 32)


cdef void decode_q5_k(const uint8_t* b, Codes* c) noexcept nogil:
    cdef int j, i
    memcpy(c.d, b, 2)
    memcpy(c.m, b + 2, 2)
    scales_k(b + 4, c)
    for j in range(4):
        nibbles(b + 48 + 32 * j, c.q + 64 * j, 32)
    for j in range(8):
        for i in range(32):
            c.q[32 * j + i] |= (b[16 + i] >> j & 1) << 4


cdef void decode_q6_k(const uint8_t* b, Codes* c) noexcept nogil:
    cdef int half, part, i
    cdef const uint8_t* high
    for half in range(2):
        nibbles(b + 64 * half, c.q + 128 * half, 64)
        high = b + 128 + 32 * half
        for part in range(4):
            for i in range(32):
                c.q[128 * half + 32 * part + i] |= (high[i] >> 2 * part & 3) << 4
    memcpy(c.scale, b + 192, 16)
    memcpy(c.d, b + 208, 2)


cdef inline uint32_t word(const uint8_t* q, int group) noexcept nogil:
    cdef uint32_t w
    memcpy(&w, q + 4 * group, 4)
    return w


cdef inline void write_codes(int bits, const uint8_t* q, int row, uint8_t* p) noexcept nogil:
    """32 codes of one row into the vectors of a block."""
    cdef uint32_t* v = <uint32_t*>p
    cdef uint32_t plane = 0, other = 0
    cdef int g
    if bits == 8:
        for g in range(8):
            v[g * LANES + row] = word(q, g)
        return
    for g in range(4):
        v[g * LANES + row] = (word(q, g) & 0x0f0f0f0fu) | (word(q, g + 4) & 0x0f0f0f0fu) << 4
    if bits == 5:
        for g in range(8):
            plane |= (word(q, g) >> 4 & 0x01010101u) << g
        v[4 * LANES + row] = plane
    if bits == 6:
        for g in range(4):
            plane |= (word(q, g) >> 4 & 0x03030303u) << 2 * g
            other |= (word(q, g + 4) >> 4 & 0x03030303u) << 2 * g
        v[4 * LANES + row], v[5 * LANES + row] = plane, other


cdef inline void pack(int bits, int scheme, Py_ssize_t size, decode_fn decode, const uint8_t* rows,
                      Py_ssize_t row_bytes, int n_rows, int cols, uint8_t* panel) noexcept nogil:
    """Rows of blocks of `size` bytes into one panel; missing rows become zeros."""
    cdef Codes c
    cdef int wide = 256 if scheme == K or scheme == K16 else 32
    cdef int vectors = plane_vectors(bits) * 4 * LANES
    cdef int r, b, j
    cdef uint8_t* p
    for r in range(LANES):
        p = panel
        for b in range(cols // wide):
            if r < n_rows:
                decode(rows + r * row_bytes + b * size, &c)
            else:
                memset(&c, 0, sizeof(c))
            memcpy(p + 2 * r, c.d, 2)
            p += 2 * LANES
            if scheme == DM or scheme == K:
                memcpy(p + 2 * r, c.m, 2)
                p += 2 * LANES
            if wide == 256:
                for j in range(8):
                    if scheme == K:
                        p[j * LANES + r], p[(8 + j) * LANES + r] = c.scale[j], c.least[j]
                    else:
                        p[2 * j * LANES + r], p[(2 * j + 1) * LANES + r] = c.scale[2 * j], c.scale[2 * j + 1]
                p += 16 * LANES
            for j in range(wide // 32):
                write_codes(bits, c.q + 32 * j, r, p)
                p += vectors


cdef inline void transpose(int size, const uint8_t* rows, Py_ssize_t row_bytes, int n_rows, int cols,
                           uint8_t* panel) noexcept nogil:
    """Float rows (elements of `size` bytes) into (cols, LANES)."""
    cdef int r, i
    for r in range(LANES):
        for i in range(cols):
            if size == 4:
                (<uint32_t*>panel)[i * LANES + r] = (<const uint32_t*>(rows + r * row_bytes))[i] if r < n_rows else 0
            else:
                (<uint16_t*>panel)[i * LANES + r] = (<const uint16_t*>(rows + r * row_bytes))[i] if r < n_rows else 0


cdef inline void widen(expand_fn expand, const uint8_t* rows, Py_ssize_t row_bytes, int n_rows, int cols,
                       uint8_t* panel) noexcept nogil:
    """Rows of any type into a float panel (cols, LANES), dequantized; its last LANES * cols floats are scratch."""
    cdef float* plain = <float*>panel + <Py_ssize_t>LANES * cols
    cdef int r
    for r in range(n_rows):
        expand(rows + r * row_bytes, plain + <Py_ssize_t>r * cols, cols)
    transpose(4, <const uint8_t*>plain, 4 * <Py_ssize_t>cols, n_rows, cols, panel)


cdef void pack_f32(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    transpose(4, rows, rb, n, cols, p)

cdef void pack_f16(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    transpose(2, rows, rb, n, cols, p)

cdef void pack_q4_0(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(4, D, 18, decode_q4_0, rows, rb, n, cols, p)

cdef void pack_q4_1(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(4, DM, 20, decode_q4_1, rows, rb, n, cols, p)

cdef void pack_q5_0(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(5, D, 22, decode_q5_0, rows, rb, n, cols, p)

cdef void pack_q5_1(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(5, DM, 24, decode_q5_1, rows, rb, n, cols, p)

cdef void pack_q8_0(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(8, D, 34, decode_q8_0, rows, rb, n, cols, p)

cdef void pack_q4_k(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(4, K, 144, decode_q4_k, rows, rb, n, cols, p)

cdef void pack_q5_k(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(5, K, 176, decode_q5_k, rows, rb, n, cols, p)

cdef void pack_q6_k(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(6, K16, 210, decode_q6_k, rows, rb, n, cols, p)
