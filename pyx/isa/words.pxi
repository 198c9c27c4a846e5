# The words that kernel bodies are written in. Each simd_*.pxd gives them a meaning and includes this list.
#   vf  LANES floats        vu  four bytes for each lane
#   vs  running sums of byte products, one per lane (wide: 32 bits; AVX2 without VNNI: pairs of 16 bits)
#   vq  scales of such sums, vt  totals of sums times scales: vt_value makes floats of them. Scales are whole numbers
#       n times a float d. AVX2 keeps n and whole totals, and d comes last; elsewhere floats hold n * d.

from libc.stdint cimport int32_t, uint8_t

cdef extern from * nogil:
    """
    #if !DOT_LIMIT          /* words that nobody says where sums are wide */
    #define vu_low(u) (u)
    #define vu_even(u) (u)
    #define vu_odd(u) (u)
    #define vs_words(s, x, u) (s)
    #define vs_unraised_words(s, u) (s)
    #define vt_of_words(s) vt_zero()
    #define vf_of_lifted(s, d, sunk) (d)
    #endif
    #ifndef LIFTS
    #define LIFTS 0
    #define vt_of_lifted(s, q, sunk) vt_zero()
    #if !DOT_LIMIT
    #define vs_lifted(s) (s)
    #define vq_value(q, d) (d)
    #endif
    #endif
    #ifndef vs_held
    #define vs_held(s) (s)
    #define vq_held(q) (q)
    #endif
    #ifndef in_turn
    #define in_turn(i) (i)
    #define held_at(p) (p)
    #endif
    #ifndef TILED           /* tiles of a matrix unit */
    #define TILED 0
    #define tiles_on()
    #define tiles_off()
    #define tile_sums(turn, x, stride, codes, step, sums)
    #endif
    """
    enum:
        LANES
        TILE            # tokens of a tile of registers
        FLOAT_TILE      # of one whose products are floats
        ROWS
        Q8_OFFSET
        Q5_OFFSET       # taken off 5-bit codes that have a minimum
        MEET            # tokens that a vector of such codes meets at once
        SPREADS         # 1: codes are unpacked for many tokens at once (spread.pxi)
        LIFTS           # 1: sums start lifted (spread.pxi)
        DOT_LIMIT       # what a sum may come to; 0: it has 32 bits and never gets there
        TILED           # 1: a matrix unit multiplies them (mesh.pxi)
    ctypedef struct vf:
        pass
    ctypedef struct vu:
        pass
    ctypedef struct vs:
        pass
    ctypedef struct vq:
        pass
    ctypedef struct vt:
        pass
    void prefetch(const void*)
    vf vf_zero()
    vf vf_set1(float)
    vf vf_load(const float*)
    void vf_store(float*, vf)
    vf vf_add(vf, vf)
    vf vf_sub(vf, vf)
    vf vf_mul(vf, vf)
    vf vf_div(vf, vf)
    vf vf_max(vf, vf)
    vf vf_min(vf, vf)
    vf vf_fma(vf, vf, vf)
    vf vf_abs(vf)
    float vf_sum(vf)
    float vf_top(vf)
    vf vf_round(vf)
    # the same where |a| < 2**22
    vf vf_near(vf)
    # step where a > limit, else 0
    vf vf_above(vf a, vf limit, vf step)
    # x where a > limit, else y
    vf vf_pick(vf a, vf limit, vf x, vf y)
    vf vf_load_half(const void*)
    void vf_store_half(void*, vf)
    vf vf_load_bf16(const void*)
    vf vf_load_u8(const void*)
    vf vf_load_i8(const void*)
    void vf_store_i8(void*, vf)
    # a * 2**n for whole n
    vf vf_scale2(vf, vf)
    # LANES nibbles, the ones `shift` (0 or 4) bits up in their bytes
    vf vf_load_u4(const void*, int shift)
    # the same of signed nibbles, -8 ... 7
    vf vf_load_i4(const void*, int shift)
    # LANES powers of two, 2**(byte - 128)
    vf vf_load_e8m0(const void*)
    # LANES bytes of 4 bits of exponent (bias 7) and 3 of mantissa, below 128; half of what they stand for
    vf vf_load_e4m3(const void*)
    vu vu_load(const void*)
    void vu_store(void*, vu)
    # LANES bytes, each four times
    vu vu_load_each(const void*)
    vu vu_and(vu, int)
    vu vu_or(vu, vu)
    vu vu_shr(vu, int)
    vu vu_shl(vu, int)
    # s + four products per lane: u unsigned codes (at most 7 bits), x four signed bytes for every lane
    # each byte of u, 0 ... 15, replaced by what the table has there
    vu vu_points(const uint8_t* table, vu u)
    # u - n in each byte
    vu vu_less(vu, int n)
    # the same, but a compiler may not read it from memory twice
    vu vu_held(vu)
    vs vs_held(vs)
    vq vq_held(vq)
    # i, of which a compiler knows nothing: it does not unroll a loop that counts so
    int in_turn(int i)
    # p, of which it knows nothing either: what lies there is addressed from there
    const void* held_at(const void* p)
    # four bytes for every lane
    vu vu_four(const void*)
    vs vs_zero()
    vs vs_dot(vs, vu, const void*)
    # the same for 8-bit codes, stored with Q8_OFFSET
    vs vs_dot8(vs, vu, const void*)
    # sums of sixteen activations with their sign turned, as sums of products start from them; of two such; as a float
    int32_t less_sums(const void*)
    int32_t less_both(int32_t, int32_t)
    float less_total(int32_t)
    # where sums start if codes are to count `offset` less
    vs vs_start(int32_t less, int offset)
    # s + four products per lane: unsigned bytes, activations raised by 128, and signed codes; and s less what 128 adds
    vs vs_raised(vs s, vu raised, vu codes)
    vs vs_unraised(vs s, vu codes)
    # for codes of 8 bits where DOT_LIMIT is set: bytes as words, even and odd ones apart (low: activations, raised),
    # products of words added to 32 bits, what 128 adds to those, and such a sum as a total
    vu vu_low(vu)
    vu vu_even(vu)
    vu vu_odd(vu)
    vs vs_words(vs s, vu raised, vu codes)
    vs vs_unraised_words(vs s, vu codes)
    vt vt_of_words(vs s)
    # s as the bits of a float that is LIFT larger; (such a sum, or total) * (q, or d) + sunk; n * d
    vs vs_lifted(vs s)
    vt vt_of_lifted(vs s, vq, vf sunk)
    vf vf_of_lifted(vt s, vf d, vf sunk)
    vf vq_value(vq, vf d)
    vq vq_make(vf n, vf d)
    vt vt_zero()
    vt vt_more(vt, vs, vq)
    # the same as vs_start, for the total, where a sum is too narrow
    vt vt_less(vt, int32_t less, vq, int offset)
    vf vt_value(vt, vf d)
    # a thread's matrix unit made ready, and given back
    void tiles_on()
    void tiles_off()
    # sums (16, LANES): 16 rows of activations, `stride` bytes apart, times the codes of LANES rows, `step` bytes from
    # one four columns to the next; 32 columns. turn: 0 or 1, which of two sets of tiles
    void tile_sums(int turn, const void* x, Py_ssize_t stride, const void* codes, Py_ssize_t step,
                   void* sums)
