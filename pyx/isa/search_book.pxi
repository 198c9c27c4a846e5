# Super-blocks that name points of a codebook. Scales of groups are odd numbers times one scale for all; for each group
# codes are tried one by one from the fitting one on, as long as the error falls: with each, the exact nearest points.

cdef struct Kind:            # how a type uses its codebook
    const Book* book
    int groups               # with a scale each
    int top                  # scales are d * part * (1, 3 ... top)
    float part
    bint even                # the number of negative values of eight is even: the eighth sign is not stored
    int shifts               # 0: none; 1: an eighth is added or taken off, the same for a group; 2: for eight values

cdef struct Group:           # what one scale makes of a group
    float price
    float xq
    float qq
    int16_t point[8]
    uint8_t minus[4]         # per eight values: signs, or 1 where an eighth is taken off

cdef struct Named:           # a super-block
    uint16_t d
    int8_t l[16]             # scale = 2 l + 1
    int16_t point[64]
    uint8_t minus[32]


cdef inline int odd_one(const float* a, const float* w, float s, float lowest) noexcept nogil:
    """Which of eight values costs least with the other sign, and the lowest level."""
    cdef float best = INFINITY, more, near
    cdef int j, found = 0
    for j in range(8):
        near = max(s * lowest - a[j], <float>0)
        more = s * lowest + a[j]
        more = w[j] * (more * more - near * near)
        if more < best:
            best, found = more, j
    return found


cdef void fit_eight(const Kind* kind, const float* a, const float* w, float s, float shift, int16_t* point,
                    uint8_t* minus, Group* sums) noexcept nogil:
    """The points of eight values; `point` holds those of another scale, or -1, `minus` the signs of the values."""
    cdef const Book* book = kind.book
    cdef Costs costs
    cdef float b[8]
    cdef float price = 0, q
    cdef int j, k, flip
    memcpy(b, a, 32)
    if kind.even and 0x6996 >> ((minus[0] ^ minus[0] >> 4) & 15) & 1:
        flip = odd_one(a, w, s, book.level[0])
        b[flip] = -b[flip]
        minus[0] ^= 1 << flip
    level_costs(book, b, w, s, shift, &costs)
    for k in range(8 // book.width):
        point[k] = <int16_t>find_point(book, &costs, 4 * k, point[k], &price)
        sums.price += price
        for j in range(book.width):
            q = <float>book.points[point[k]][j] + shift
            sums.xq += w[4 * k + j] * q * b[4 * k + j]
            sums.qq += w[4 * k + j] * q * q


cdef void fit_shifted(const Kind* kind, const float* a, const float* w, int n, float s, float shift,
                      const uint8_t* signs, float limit, const Group* seed, Group* found) noexcept nogil:
    """n <= 4 times eight values with one scale; no matter which points if the price reaches `limit`."""
    cdef int k, each = 8 // kind.book.width
    found[0] = seed[0]
    found.price = found.xq = found.qq = 0
    for k in range(n):
        if found.price >= limit:
            return
        found.minus[k] = signs[k] if shift == 0 else <uint8_t>(shift < 0)
        fit_eight(kind, a + 8 * k, w + 8 * k, s, shift, found.point + each * k, found.minus + k, found)


cdef void fit_group(const Kind* kind, const float* a, const float* w, float s, const uint8_t* signs, float limit,
                    const Group* seed, Group* found) noexcept nogil:
    cdef int n = 32 // kind.groups, k
    cdef Group eight
    if kind.shifts == 0:
        fit_shifted(kind, a, w, n, s, 0, signs, limit, seed, found)
    elif kind.shifts == 1:
        fit_both(kind, a, w, n, s, limit, seed, found)
    else:
        found[0] = seed[0]
        found.price = found.xq = found.qq = 0
        for k in range(n):
            if found.price >= limit:
                break
            eight.point[0] = found.point[k]
            fit_both(kind, a + 8 * k, w + 8 * k, 1, s, limit, &eight, &eight)
            found.point[k], found.minus[k] = eight.point[0], eight.minus[0]
            found.price += eight.price
            found.xq += eight.xq
            found.qq += eight.qq


cdef void fit_both(const Kind* kind, const float* a, const float* w, int n, float s, float limit,
                   const Group* seed, Group* found) noexcept nogil:
    """The better of an eighth more and an eighth less."""
    cdef Group other
    fit_shifted(kind, a, w, n, s, <float>0.125, NULL, limit, seed, found)
    fit_shifted(kind, a, w, n, s, <float>-0.125, NULL, min(limit, found.price), found, &other)
    if other.price < found.price:
        found[0] = other


cdef int8_t climb(const Kind* kind, const float* a, const float* w, float d, int l, const uint8_t* signs,
                  Group* best) noexcept nogil:
    """From code `l` of the scale to a better neighbour, as long as there is one. `best` comes with points as seeds."""
    cdef Group now
    cdef int step, code = l, last = kind.top >> 1
    fit_group(kind, a, w, d * <float>(2 * l + 1), signs, INFINITY, best, best)
    for step in range(-1, 2, 2):
        while 0 <= code + step <= last:
            fit_group(kind, a, w, d * <float>(2 * (code + step) + 1), signs, best.price, best, &now)
            if now.price >= best.price:
                break
            best[0] = now
            code += step
        if code != l:
            break
    return <int8_t>code


cdef void fit_named(const float* x, const float* w, const Kind* kind, const Codes* codes, const Codes* odd,
                    Named* found) noexcept nogil:
    cdef float a[256]
    cdef float ideal[16]
    cdef float weight[16]
    cdef uint8_t signs[32]
    cdef Scale1 one
    cdef float unit = tame(x, 256, a), d
    cdef int size = 256 // kind.groups, g
    memset(found, 0, sizeof(Named))
    if unit == 0:
        return
    take_signs(a, signs, kind.shifts == 0)
    for g in range(kind.groups):
        one = best_scale(a + g * size, w + g * size, size, codes)
        ideal[g], weight[g] = one.scale, one.gain / (one.scale * one.scale) if one.scale != 0 else 0
    d = best_scale(ideal, weight, kind.groups, odd).scale
    found.d = to_half(d * unit / kind.part)
    if half_to_float(found.d) != 0:
        d = fit_groups(kind, a, w, half_to_float(found.d) * kind.part / unit, ideal, signs, found)
        found.d = to_half(d * unit / kind.part)


cdef inline void take_signs(float* a, uint8_t* signs, bint take) noexcept nogil:
    cdef int j
    memset(signs, 0, 32)
    if take:
        for j in range(256):
            signs[j >> 3] |= (a[j] < 0) << (j & 7)
            a[j] = fabsf(a[j])


cdef float fit_groups(const Kind* kind, const float* a, const float* w, float d, const float* ideal,
                      const uint8_t* signs, Named* found) noexcept nogil:
    """All groups for one d; returns the d that these points want."""
    cdef int size = 256 // kind.groups, each = size // kind.book.width, g, l
    cdef float top = 0, bottom = 0, scale
    cdef Group best
    for g in range(kind.groups):
        memset(best.point, 255, sizeof(best.point))
        l = max(0, min(kind.top >> 1, whole((min(ideal[g] / d, <float>1000) - 1) / 2)))
        found.l[g] = climb(kind, a + size * g, w + size * g, d, l, signs + size // 8 * g, &best)
        memcpy(found.point + each * g, best.point, each * sizeof(int16_t))
        memcpy(found.minus + size // 8 * g, best.minus, size // 8)
        scale = <float>(2 * found.l[g] + 1)
        top += scale * best.xq
        bottom += scale * scale * best.qq
    return top / bottom if bottom > 0 else d
