# Panels of the types whose codes lie otherwise in a file than in a panel: codebooks, ternary digits, single bits.
#
# A block is taken apart eight columns at a time, as the bytes of a 64-bit word (eights.pxi), and put together anew in
# the planes of codes.pxi. What a codebook has for an index is resolved here, once: its numbers are so spaced that a
# shift makes them codes, to which the sign is added as highest bit.

cdef inline void put_codes(int bits, const uint64_t* c, int row, uint8_t* p) noexcept nogil:
    """32 codes of one row as vectors of `bits` bits; their words for columns 8k are c[k]."""
    cdef uint32_t* v = <uint32_t*>p + row
    cdef uint64_t w
    cdef int k
    if bits == 4:
        for k in range(2):
            w = c[k] | c[k + 2] << 4
            v[2 * k * LANES], v[(2 * k + 1) * LANES] = <uint32_t>w, <uint32_t>(w >> 32)
        return
    for k in range(2):                                  # groups 0, 2 and 1, 3 of sixteen columns
        w = (c[2 * k] & BITS2) | (c[2 * k + 1] & BITS2) << 4
        v[k * LANES] = <uint32_t>(w | w >> 30)
    if bits == 3:
        w = 0
        for k in range(4):
            w |= (c[k] >> 2 & BITS1) << 2 * k
        v[2 * LANES] = <uint32_t>(w | w >> 31)


cdef inline void put_nibble(uint8_t* scales, int j, int row, int n) noexcept nogil:
    """Scale j of one row, beside the one before it if j is odd."""
    cdef uint8_t* at = scales + (j >> 1) * LANES + row
    at[0] = <uint8_t>(at[0] | n << 4 if j & 1 else n)


cdef inline uint64_t with_signs(uint64_t codes, uint8_t signs, int bit) noexcept nogil:
    return codes | (bit_bytes(signs) & BITS1) << bit


cdef void place_q1_0(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    cdef int j
    halves(b, 1, row, p)
    for j in range(4):
        (<uint32_t*>(p + 2 * LANES))[j * LANES + row] = fifth_bits(word(b + 2, j))


cdef void place_q2_0(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    cdef uint64_t codes[8]
    cdef uint16_t pairs
    cdef int k
    halves(b, 1, row, p)
    for k in range(8):
        memcpy(&pairs, b + 2 + 2 * k, 2)
        codes[k] = pair_bytes(pairs)
    put_codes(2, codes, row, p + 2 * LANES)
    put_codes(2, codes + 4, row, p + 10 * LANES)


cdef void place_nvfp4(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    """64 columns: four scales, then eight bytes for each sixteen columns. As a scale, 0x7f is zero, not a number."""
    cdef uint64_t codes[4]
    cdef int i, k
    for i in range(2):
        for k in range(2):
            p[k * LANES + row] = 0 if b[2 * i + k] == 0x7f else b[2 * i + k] & 0x7f
            codes[2 * k] = load8(b + 4 + 16 * i + 8 * k)
            codes[2 * k + 1] = codes[2 * k] >> 4 & BITS4
            codes[2 * k] &= BITS4
        put_codes(4, codes, row, p + 2 * LANES)
        p += 18 * LANES


cdef inline uint64_t trits(uint64_t bytes, int power) noexcept nogil:
    """First base-3 digits, 0 to 2, after the point of bytes * power / 256, power = 3**k."""
    cdef uint64_t mask = 0x00ff00ff00ff00ffu
    cdef uint64_t even = ((bytes & mask) * power & mask) * 3 >> 8 & 0x0003000300030003u
    cdef uint64_t odd = ((bytes >> 8 & mask) * power & mask) * 3 & 0x0300030003000300u
    return even | odd


cdef void place_tq1_0(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    """Five digits of 32 bytes, five of 16, four of four bytes."""
    cdef uint64_t codes[32]
    cdef uint64_t four = word(b, 12)
    cdef int i, k, power = 1
    halves(b + 52, 1, row, p)
    for i in range(5):
        for k in range(4):
            codes[4 * i + k] = trits(load8(b + 8 * k), power)
        for k in range(2):
            codes[20 + 2 * i + k] = trits(load8(b + 32 + 8 * k), power)
        power *= 3
    codes[30], codes[31] = trits(four, 1) | trits(four, 3) << 32, trits(four, 9) | trits(four, 27) << 32
    for i in range(8):
        put_codes(2, codes + 4 * i, row, p + (2 + 8 * i) * LANES)


cdef inline uint64_t iq1_codes(int index) noexcept nogil:
    """-1, 0, 1 as 0, 1, 2."""
    return (iq1s_grid[index] & BITS2) + BITS1 & BITS2


cdef void place_iq1_s(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    """A scale 2s + 1 and a sign make one odd number from -15 to 15, 2n - 15."""
    cdef const block_iq1_s* f = <const block_iq1_s*>b
    cdef uint64_t codes[4]
    cdef int j, k, high
    halves(b, 1, row, p)
    for j in range(8):
        high = f.qh[j]
        put_nibble(p + 2 * LANES, j, row, 7 - (high >> 12 & 7) if high & 0x8000 else 8 + (high >> 12 & 7))
        for k in range(4):
            codes[k] = iq1_codes(f.qs[4 * j + k] | (high >> 3 * k & 7) << 8)
        put_codes(2, codes, row, p + (6 + 8 * j) * LANES)


cdef void place_iq1_m(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    cdef const block_iq1_m* f = <const block_iq1_m*>b
    cdef uint16_t d = iq1m_half(f)
    cdef uint64_t codes[4]
    cdef uint8_t* to = p + 10 * LANES
    cdef int j, k, high, signs
    memcpy(p + 2 * row, &d, 2)
    for j in range(16):
        put_nibble(p + 2 * LANES, j, row, f.scales[j >> 2] >> 3 * (j & 3) & 7)
    for j in range(8):
        signs = 0
        for k in range(4):
            high = f.qh[2 * j + (k >> 1)] >> 4 * (k & 1)
            codes[k] = iq1_codes(f.qs[4 * j + k] | (high & 7) << 8)
            signs |= (high >> 3 & 1) << k
        put_codes(2, codes, row, to)
        to[8 * LANES + row] = <uint8_t>signs
        to += 9 * LANES


cdef inline uint64_t iq2_codes(uint64_t point, uint8_t signs) noexcept nogil:
    """8, 25, 43 as 0, 1, 2."""
    return with_signs(point >> 4 & BITS2, signs, 2)


cdef void place_iq2_xxs(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    cdef const block_iq2_xxs* f = <const block_iq2_xxs*>b
    cdef uint64_t codes[4]
    cdef uint32_t signs
    cdef int j, k
    halves(b, 1, row, p)
    for j in range(8):
        signs = f.qs[2 * j + 1]
        put_nibble(p + 2 * LANES, j, row, signs >> 28)
        for k in range(4):
            codes[k] = iq2_codes(iq2xxs_grid[f.qs[2 * j] >> 8 * k & 255], even_signs(signs >> 7 * k))
        put_codes(3, codes, row, p + (6 + 12 * j) * LANES)


cdef void place_iq2_xs(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    cdef const block_iq2_xs* f = <const block_iq2_xs*>b
    cdef uint64_t codes[4]
    cdef uint16_t q
    cdef int j, k
    halves(b, 1, row, p)
    for j in range(8):
        p[(2 + j) * LANES + row] = f.scales[j]
        for k in range(4):
            q = f.qs[4 * j + k]
            codes[k] = iq2_codes(iq2xs_grid[q & 511], even_signs(q >> 9))
        put_codes(3, codes, row, p + (10 + 12 * j) * LANES)


cdef void place_iq2_s(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    cdef const block_iq2_s* f = <const block_iq2_s*>b
    cdef uint64_t codes[4]
    cdef int j, k, index
    halves(b, 1, row, p)
    for j in range(8):
        p[(2 + j) * LANES + row] = f.scales[j]
        for k in range(4):
            index = f.qs[4 * j + k] | (f.qh[j] >> 2 * k & 3) << 8
            codes[k] = iq2_codes(iq2s_grid[index], f.signs[4 * j + k])
        put_codes(3, codes, row, p + (10 + 12 * j) * LANES)


cdef void place_iq3_xxs(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    """4, 12 ... 44, 52, 62 become 0 ... 7."""
    cdef const block_iq3_xxs* f = <const block_iq3_xxs*>b
    cdef const uint8_t* q = &f.qs[0]
    cdef uint64_t codes[4]
    cdef uint64_t point
    cdef int j, k
    halves(b, 1, row, p)
    for j in range(8):
        put_nibble(p + 2 * LANES, j, row, f.signs[j] >> 28)
        for k in range(4):
            point = iq3xxs_grid[q[0]] | <uint64_t>iq3xxs_grid[q[1]] << 32
            codes[k] = with_signs(point >> 3 & 7 * BITS1, even_signs(f.signs[j] >> 7 * k), 3)
            q += 2
        put_codes(4, codes, row, p + (6 + 16 * j) * LANES)


cdef void place_iq3_s(const uint8_t* b, int row, uint8_t* p) noexcept nogil:
    """1, 3 ... 15 become 0 ... 7."""
    cdef const block_iq3_s* f = <const block_iq3_s*>b
    cdef const uint8_t* q = &f.qs[0]
    cdef uint64_t codes[4]
    cdef uint64_t point
    cdef int j, k, high
    halves(b, 1, row, p)
    for j in range(8):
        put_nibble(p + 2 * LANES, j, row, f.scales[j >> 1] >> 4 * (j & 1) & 15)
        for k in range(4):
            high = f.qh[j] >> 2 * k
            point = iq3s_grid[q[1] | (high & 2) << 7]
            point = iq3s_grid[q[0] | (high & 1) << 8] | point << 32
            codes[k] = with_signs(point >> 1 & 7 * BITS1, f.signs[4 * j + k], 3)
            q += 2
        put_codes(4, codes, row, p + (6 + 16 * j) * LANES)


cdef void pack_q1_0(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q1_0, 128, 18, 18 * LANES, rows, rb, n, cols, p)

cdef void pack_q2_0(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_q2_0, 64, 18, 18 * LANES, rows, rb, n, cols, p)

cdef void pack_nvfp4(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_nvfp4, 64, 36, 36 * LANES, rows, rb, n, cols, p)

cdef void pack_tq1_0(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_tq1_0, 256, 54, 66 * LANES, rows, rb, n, cols, p)

cdef void pack_iq1_s(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_iq1_s, 256, 50, 70 * LANES, rows, rb, n, cols, p)

cdef void pack_iq1_m(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_iq1_m, 256, 56, 82 * LANES, rows, rb, n, cols, p)

cdef void pack_iq2_xxs(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_iq2_xxs, 256, 66, 102 * LANES, rows, rb, n, cols, p)

cdef void pack_iq2_xs(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_iq2_xs, 256, 74, 106 * LANES, rows, rb, n, cols, p)

cdef void pack_iq2_s(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_iq2_s, 256, 82, 106 * LANES, rows, rb, n, cols, p)

cdef void pack_iq3_xxs(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_iq3_xxs, 256, 98, 134 * LANES, rows, rb, n, cols, p)

cdef void pack_iq3_s(const uint8_t* rows, Py_ssize_t rb, int n, int cols, uint8_t* p) noexcept nogil:
    pack(place_iq3_s, 256, 110, 134 * LANES, rows, rb, n, cols, p)
