# From rows of a file to panels of LANES rows (the layout is told in gemm.pxi).
#
# Each type says how one block of one row is placed among the LANES rows of a block of the panel. Codes move as words of
# four columns; where a file pairs low and high halves as the panel does, a word moves as it stands.

ctypedef void (*place_fn)(const uint8_t* block, int row, uint8_t* p) noexcept nogil


cdef inline uint32_t word(const uint8_t* b, int i) noexcept nogil:
    cdef uint32_t w
    memcpy(&w, b + 4 * i, 4)
    return w


cdef inline void halves(const uint8_t* b, int n, int row, uint8_t* p) noexcept nogil:
    """n half-precision numbers of one row: each stands in a run of LANES."""
    cdef int i
    for i in range(n):
        memcpy(p + 2 * (i * LANES + row), b + 2 * i, 2)


cdef inline uint32_t every_fourth(uint32_t bits) noexcept nogil:
    """Bits 0, 4, ... 28 gathered into a byte."""
    bits &= 0x11111111u
    bits = (bits | bits >> 3) & 0x03030303u
    bits = (bits | bits >> 6) & 0x000f000fu
    return (bits | bits >> 12) & 0xffu


cdef inline uint32_t fifth_bits(uint32_t high) noexcept nogil:
    """Bit 4g + c (of column 4g + c) to bit g of byte c."""
    return (every_fourth(high) | every_fourth(high >> 1) << 8 | every_fourth(high >> 2) << 16
            | every_fourth(high >> 3) << 24)


cdef inline void place_legacy(int bits, int scales, const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    """32 columns: `scales` halves, the fifth bits if there are any, nibbles j and j + 16 in byte j."""
    cdef uint32_t* v = <uint32_t*>(p + 2 * scales * LANES)
    cdef const uint8_t* codes = b + 2 * scales + (4 if bits == 5 else 0)
    cdef int g
    halves(b, scales, row, p)
    for g in range(4):
        v[g * LANES + row] = word(codes, g)
    if bits == 5:
        v[4 * LANES + row] = fifth_bits(word(b + 2 * scales, 0))


cdef void place_q4_0(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    place_legacy(4, 1, b, row, p)

cdef void place_q4_1(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    place_legacy(4, 2, b, row, p)

cdef void place_q5_0(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    place_legacy(5, 1, b, row, p)

cdef void place_q5_1(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    place_legacy(5, 2, b, row, p)


cdef void place_q8_0(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    cdef uint32_t* v = <uint32_t*>(p + 2 * LANES)
    cdef int g
    halves(b, 1, row, p)
    for g in range(8):
        v[g * LANES + row] = word(b + 2, g) ^ (0x80808080u if Q8_OFFSET else 0)


cdef inline void scales_k(const uint8_t* b, int row, uint8_t* scale, uint8_t* least) noexcept nogil:
    """Eight 6-bit scales and minima in twelve bytes."""
    cdef int j
    for j in range(4):
        scale[j * LANES + row], least[j * LANES + row] = b[j] & 63, b[j + 4] & 63
        scale[(j + 4) * LANES + row] = (b[j + 8] & 15) | (b[j] >> 6) << 4
        least[(j + 4) * LANES + row] = (b[j + 8] >> 4) | (b[j + 4] >> 6) << 4


cdef inline uint32_t two_halves(uint32_t low, uint32_t high) noexcept nogil:
    return (low & 0x0f0f0f0fu) | (high & 0x0f0f0f0fu) << 4


cdef inline void place_k(int bits, const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    """256 columns: d, dmin, scales, fifth bits (bit j of byte c: column 32j + c), 32 bytes for each two blocks."""
    cdef const uint8_t* codes = b + (16 if bits == 4 else 48)
    cdef uint32_t* v = <uint32_t*>(p + 20 * LANES)
    cdef uint32_t plane
    cdef int j, g
    halves(b, 2, row, p)
    scales_k(b + 4, row, p + 4 * LANES, p + 12 * LANES)
    for j in range(8):
        for g in range(4):
            v[g * LANES + row] = two_halves(word(codes, g) >> 4 * (j & 1), word(codes, g + 4) >> 4 * (j & 1))
        if bits == 5:
            plane = 0
            for g in range(8):
                plane |= (word(b + 16, g) >> j & 0x01010101u) << g
            v[4 * LANES + row] = plane
        v += bits * LANES
        codes += 32 * (j & 1)


cdef void place_q4_k(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    place_k(4, b, row, p)

cdef void place_q5_k(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    place_k(5, b, row, p)


cdef void place_q6_k(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    """Halves of 128 columns: block j has its nibbles in 32 of 64 bytes, its upper bits 2j of 32 bytes."""
    cdef uint32_t* v = <uint32_t*>(p + 18 * LANES)
    cdef const uint8_t* low
    cdef const uint8_t* high
    cdef uint32_t plane, other
    cdef int i, j, g
    halves(b + 208, 1, row, p)
    for j in range(16):
        p[2 * LANES + j * LANES + row] = b[192 + j]
    for i in range(8):
        j = i & 3
        low, high = b + 64 * (i >> 2) + 32 * (j & 1), b + 128 + 32 * (i >> 2)
        plane = other = 0
        for g in range(4):
            v[g * LANES + row] = two_halves(word(low, g) >> 4 * (j >> 1), word(low, g + 4) >> 4 * (j >> 1))
            plane |= (word(high, g) >> 2 * j & 0x03030303u) << 2 * g
            other |= (word(high, g + 4) >> 2 * j & 0x03030303u) << 2 * g
        v[4 * LANES + row], v[5 * LANES + row] = plane, other
        v += 6 * LANES


cdef inline uint32_t two_bits_of(const uint8_t* b, int group, int shift) noexcept nogil:
    return word(b, group) >> shift & 0x03030303u


cdef inline void planes_of_two(const uint8_t* codes, int row, uint32_t* v, int step) noexcept nogil:
    """256 columns of 2 bits: 64 bytes, of which 32 hold four blocks. Blocks of the panel are `step` vectors apart."""
    cdef uint32_t low, high
    cdef int j, g
    for j in range(8):
        low = high = 0
        for g in range(4):
            low |= two_bits_of(codes + 32 * (j >> 2), g, 2 * (j & 3)) << 2 * g
            high |= two_bits_of(codes + 32 * (j >> 2), g + 4, 2 * (j & 3)) << 2 * g
        v[j * step * LANES + row], v[(j * step + 1) * LANES + row] = low, high


cdef void place_q2_k(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    cdef int j
    halves(b + 80, 2, row, p)
    for j in range(16):
        p[(4 + j) * LANES + row] = b[j]
    planes_of_two(b + 16, row, <uint32_t*>(p + 20 * LANES), 2)


cdef void place_q3_k(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    """Third bits: bit j of byte c is column 32j + c's. Scales: sixteen nibbles, then sixteen pairs of upper bits."""
    cdef uint32_t* v = <uint32_t*>(p + 18 * LANES)
    cdef uint32_t plane
    cdef int j, g
    halves(b + 108, 1, row, p)
    for j in range(16):
        p[(2 + j) * LANES + row] = <uint8_t>(((b[96 + (j & 7)] >> 4 * (j >> 3) & 15)
                                              | (b[104 + (j & 3)] >> 2 * (j >> 2) & 3) << 4) - 32)
    planes_of_two(b + 32, row, v, 3)
    for j in range(8):
        plane = 0
        for g in range(8):
            plane |= (word(b, g) >> j & 0x01010101u) << g
        v[(3 * j + 2) * LANES + row] = plane


cdef void place_iq4_xs(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    cdef uint32_t* v = <uint32_t*>(p + 10 * LANES)
    cdef int j, g
    halves(b, 1, row, p)
    for j in range(8):
        p[(2 + j) * LANES + row] = <uint8_t>(((b[4 + (j >> 1)] >> 4 * (j & 1) & 15)
                                              | (b[2 + (j >> 2)] >> 2 * (j & 3) & 3) << 4) - 32)
        for g in range(4):
            v[(4 * j + g) * LANES + row] = word(b + 8 + 16 * j, g)


cdef void place_mxfp4(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    cdef uint32_t* v = <uint32_t*>(p + LANES)
    cdef int g
    p[row] = b[0]
    for g in range(4):
        v[g * LANES + row] = word(b + 1, g)


cdef void place_tq2_0(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    halves(b + 64, 1, row, p)
    planes_of_two(b, row, <uint32_t*>(p + 2 * LANES), 2)


cdef inline void pack(place_fn place, int wide, Py_ssize_t size, Py_ssize_t room, const uint8_t* rows,
                      Py_ssize_t row_bytes, int n_rows, int cols, uint8_t* panel) noexcept nogil:
    """Blocks of `wide` columns and `size` bytes into blocks of `room` bytes; missing rows become zeros."""
    cdef int r, b
    for b in range(cols // wide):
        if n_rows < LANES:
            memset(panel, 0, room)
        for r in range(n_rows):
            place(rows + r * row_bytes + b * size, r, panel)
        panel += room


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
    pack(place_q4_0, 32, 18, 18 * LANES, rows, rb, n, cols, p)

cdef void pack_q4_1(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q4_1, 32, 20, 20 * LANES, rows, rb, n, cols, p)

cdef void pack_q5_0(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q5_0, 32, 22, 22 * LANES, rows, rb, n, cols, p)

cdef void pack_q5_1(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q5_1, 32, 24, 24 * LANES, rows, rb, n, cols, p)

cdef void pack_q8_0(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q8_0, 32, 34, 34 * LANES, rows, rb, n, cols, p)

cdef void pack_q4_k(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q4_k, 256, 144, 148 * LANES, rows, rb, n, cols, p)

cdef void pack_q5_k(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q5_k, 256, 176, 180 * LANES, rows, rb, n, cols, p)

cdef void pack_q6_k(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q6_k, 256, 210, 210 * LANES, rows, rb, n, cols, p)

cdef void pack_q2_k(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q2_k, 256, 84, 84 * LANES, rows, rb, n, cols, p)

cdef void pack_q3_k(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q3_k, 256, 110, 114 * LANES, rows, rb, n, cols, p)

cdef void pack_iq4_xs(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_iq4_xs, 256, 136, 138 * LANES, rows, rb, n, cols, p)

cdef void pack_mxfp4(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_mxfp4, 32, 17, 17 * LANES, rows, rb, n, cols, p)

cdef void pack_tq2_0(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_tq2_0, 256, 66, 66 * LANES, rows, rb, n, cols, p)
