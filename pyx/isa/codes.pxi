# Codes of 32 columns of a panel: how vectors hold them, and what they name.
#
# Codes of 4 bits and more keep their low 4 bits in four vectors (group g low, group g + 4 high half of each byte)
# and the rest in bit planes (bit g, or bits 2(g % 4), of each byte belongs to group g). Codes of 1, 2 and 3 bits are
# such planes only. 8-bit codes stand as they are.
#
# Some codes name a point instead of a number. Points up to 62 in size are stored with the largest of them added, so
# that products take unsigned bytes of 7 bits; those of IQ4_NL are too far apart for that.

cdef enum:
    SIGNS = 1   # bits of a code: 0 or 2, less an offset of 1
    SHARED = 9  # two bits, and a third that eight columns share; a byte of each row holds the four of a block

cdef enum:
    NUMBERS     # a code is a number
    IQ4         # a code names one of the points of IQ4_NL
    FP4         # ... of E2M1, doubled
    IQ1         # ... of IQ1_M, in eighths
    IQ2         # ... of IQ2_XXS, IQ2_XS and IQ2_S
    IQ3XXS
    IQ3S

cdef uint8_t points[7][16]


cdef void set_points() noexcept:
    """What codes name; pack_iq.pxi makes those of the codebooks, the sign their highest bit."""
    cdef int i, k
    cdef int8_t[8] iq1 = [-7, 1, 9, 0, -9, -1, 7, 0]
    cdef int8_t[4] iq2 = [8, 25, 43, 0]
    cdef int8_t[8] iq3 = [4, 12, 20, 28, 36, 44, 52, 62]
    for i in range(16):
        points[<int>IQ4][i] = <uint8_t>(iq4_values[i] + Q8_OFFSET)
        points[<int>FP4][i] = <uint8_t>(fp4_values[i] + largest_point(FP4))
        points[<int>IQ1][i] = <uint8_t>(iq1[i & 7] + largest_point(IQ1))
        points[<int>IQ2][i] = <uint8_t>(largest_point(IQ2) + (-iq2[i & 3] if i & 4 else iq2[i & 3]))
        k = i & 7
        points[<int>IQ3XXS][i] = <uint8_t>(largest_point(IQ3XXS) + (-iq3[k] if i & 8 else iq3[k]))
        points[<int>IQ3S][i] = <uint8_t>(largest_point(IQ3S) + (-2 * k - 1 if i & 8 else 2 * k + 1))


cdef inline int largest_point(int named) noexcept nogil:
    return 12 if named == FP4 else 9 if named == IQ1 else 43 if named == IQ2 else 62 if named == IQ3XXS else 15


cdef inline float unit(int named) noexcept nogil:
    """What a scale of these points is a multiple of."""
    return 0.125 if named == IQ1 or named == IQ2 else 0.25 if named == IQ3XXS else 1


cdef inline bint is_signed(int bits, int named) noexcept nogil:
    """Are these bytes with a sign, stored with Q8_OFFSET?"""
    return bits == 8 or named == IQ4


cdef inline int largest_code(int bits, int named) noexcept nogil:
    """The largest number that a product takes for a code."""
    if is_signed(bits, named):
        return 128
    return 2 * largest_point(named) if named != NUMBERS else 2 if bits == SIGNS else (1 << bits) - 1


cdef inline int plane_bytes(int bits) noexcept nogil:
    """Bytes of the codes in one block of 32 columns, all rows."""
    return 9 * LANES if bits == SHARED else bits * 4 * LANES


cdef inline void unpack(int bits, const uint8_t* p, int g, vu* lo, vu* hi) noexcept nogil:
    """Codes of column group g and g + 4 (of eight) of a block."""
    cdef vu v, h
    cdef int bytes = 4 * LANES
    if bits == 8:
        lo[0], hi[0] = vu_load(p + g * bytes), vu_load(p + (g + 4) * bytes)
        return
    if bits == SIGNS:
        v = vu_load(p)
        lo[0], hi[0] = vu_and(vu_shl(v, 1) if g == 0 else vu_shr(v, g - 1), 2), vu_and(vu_shr(v, g + 3), 2)
        return
    if bits <= 3 or bits == SHARED:
        lo[0], hi[0] = vu_and(vu_shr(vu_load(p), 2 * g), 3), vu_and(vu_shr(vu_load(p + bytes), 2 * g), 3)
        if bits == 3:
            h = vu_load(p + 2 * bytes)
            lo[0] = vu_or(lo[0], vu_and(vu_shl(h, 2 - g) if g < 2 else vu_shr(h, g - 2), 4))
            hi[0] = vu_or(hi[0], vu_and(vu_shr(h, g + 2), 4))
        if bits == SHARED:
            h = vu_load_each(p + 2 * bytes)
            lo[0] = vu_or(lo[0], vu_and(vu_shl(h, 2 - g // 2), 4))
            hi[0] = vu_or(hi[0], vu_and(h if g < 2 else vu_shr(h, 1), 4))
        return
    v = vu_load(p + g * bytes)
    lo[0], hi[0] = vu_and(v, 15), vu_and(vu_shr(v, 4), 15)
    if bits == 5:
        h = vu_load(p + 4 * bytes)
        lo[0] = vu_or(lo[0], vu_and(vu_shl(h, 4 - g), 16))
        hi[0] = vu_or(hi[0], vu_and(vu_shr(h, g), 16))
    if bits == 6:
        lo[0] = vu_or(lo[0], two_bits(vu_load(p + 4 * bytes), g))
        hi[0] = vu_or(hi[0], two_bits(vu_load(p + 5 * bytes), g))


cdef inline vu two_bits(vu h, int g) noexcept nogil:
    """Bits 2g and 2g + 1 of each byte, moved to bits 4 and 5."""
    return vu_and(vu_shl(h, 4 - 2 * g) if g < 2 else vu_shr(h, 2 * g - 4), 48)
