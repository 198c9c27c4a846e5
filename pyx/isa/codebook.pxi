# The nearest point of a codebook under weights, exactly. A point has 8 coordinates of 3 levels or 4 of 8; its four
# quarters (two coordinates or one) are looked up in tables of their costs. If each coordinate's best level together
# make a point, that is it. Else points are the leaves of a tree, quarter by quarter, and a branch is not entered if
# with the cheapest rest there could be it costs more than the best point so far.

cdef enum:
    PATTERNS = 6561          # 9**4 (8**4 is less)

cdef struct Book:
    int width                # coordinates: 8 or 4
    int n_levels             # 3 or 8
    int n_quarters           # what a quarter can be: 9 or 8
    int n_points
    float level[8]
    int8_t points[2048][8]
    uint8_t quarter[2048][4]
    int16_t place[PATTERNS]  # the point of these four quarters, or -1
    int16_t start[730]       # where the list of points with the same three first quarters begins
    int16_t name[2048]       # the points of all lists, and their last quarter
    uint8_t fourth[2048]

cdef struct Costs:           # of eight coordinates
    float of[8][8]           # (level, coordinate)
    float least[8]           # over the levels
    int best[8]              # the level that has it

cdef Book IQ1, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S


cdef void make_book(Book* book, const int8_t* points, int n_points, int width) noexcept:
    cdef int8_t levels[8]
    cdef int n = 0, i, j, k, spot
    for k in range(-1, 63):                 # levels are what coordinates are, in order
        for i in range(n_points * width):
            if points[i] == k:
                levels[n], book.level[n] = <int8_t>k, <float>k
                n += 1
                break
    book.width, book.n_levels, book.n_points, book.n_quarters = width, n, n_points, 9 if width == 8 else 8
    memset(book.place, 255, sizeof(book.place))
    for i in range(n_points):
        memset(book.quarter[i], 0, 4)
        for j in range(width):
            book.points[i][j] = points[i * width + j]
            for k in range(n):
                if points[i * width + j] == levels[k]:
                    spot = 4 * j // width
                    book.quarter[i][spot] = <uint8_t>(3 * book.quarter[i][spot] + k)
        book.place[pattern(book, book.quarter[i])] = <int16_t>i
    n = 0
    for spot in range(book.n_quarters**4):
        if spot % book.n_quarters == 0:
            book.start[spot // book.n_quarters] = <int16_t>n
        if book.place[spot] >= 0:
            book.name[n], book.fourth[n] = book.place[spot], <uint8_t>(spot % book.n_quarters)
            n += 1
    book.start[book.n_quarters**3] = <int16_t>n


cdef inline int pattern(const Book* book, const uint8_t* q) noexcept nogil:
    cdef int n = book.n_quarters
    return ((q[0] * n + q[1]) * n + q[2]) * n + q[3]


cdef inline void level_costs(const Book* book, const float* a, const float* w, float s, float shift,
                             Costs* costs) noexcept nogil:
    """w (s (level + shift) - a)**2 of eight values."""
    cdef float value, far, cost
    cdef int j, k
    for j in range(8):
        costs.least[j], costs.best[j] = INFINITY, 0
    for k in range(book.n_levels):
        value = s * (book.level[k] + shift)
        for j in range(8):
            far = value - a[j]
            cost = w[j] * far * far
            costs.of[k][j] = cost
            costs.best[j] = k if cost < costs.least[j] else costs.best[j]
            costs.least[j] = cost if cost < costs.least[j] else costs.least[j]


cdef inline int find_point(const Book* book, const Costs* costs, int first, int seed, float* price) noexcept nogil:
    """The point that costs least, and its `price`, for coordinates from `first` on. `seed`, a point that may be near
    (or -1), only saves time."""
    cdef float cheap[4]
    cdef uint8_t q[4]
    cdef int k, found
    if book.width == 8:
        for k in range(4):
            q[k] = <uint8_t>(3 * costs.best[2 * k] + costs.best[2 * k + 1])
            cheap[k] = costs.least[2 * k] + costs.least[2 * k + 1]
    else:
        for k in range(4):
            q[k], cheap[k] = <uint8_t>costs.best[first + k], costs.least[first + k]
    found = book.place[pattern(book, q)]
    if found >= 0:
        price[0] = cheap[0] + cheap[1] + (cheap[2] + cheap[3])
        return found
    return search_lists(book, costs, first, cheap, q, seed, price)


cdef int search_lists(const Book* book, const Costs* costs, int first, const float* cheap, const uint8_t* q, int seed,
                      float* price) noexcept nogil:
    cdef float quarter[4][9]
    cdef float best = INFINITY, rest = cheap[2] + cheap[3], one, half
    cdef int n = book.n_quarters, found = -1, i, j
    price_quarters(book, costs, first, quarter)
    if seed >= 0:
        found, best = seed, quarter[0][book.quarter[seed][0]] + quarter[1][book.quarter[seed][1]]
        best += quarter[2][book.quarter[seed][2]] + quarter[3][book.quarter[seed][3]]
    search_half(book, q[0] * n + q[1], cheap[0] + cheap[1], cheap[3], quarter, &best, &found)
    for i in range(n):
        one = quarter[0][i]
        if one + cheap[1] + rest < best:
            for j in range(n):
                half = one + quarter[1][j]
                if half + rest < best:
                    search_half(book, i * n + j, half, cheap[3], quarter, &best, &found)
    price[0] = best
    return found


cdef inline void price_quarters(const Book* book, const Costs* costs, int first, float (*quarter)[9]) noexcept nogil:
    cdef int i, j, k
    if book.width == 8:
        for k in range(4):
            for i in range(3):
                for j in range(3):
                    quarter[k][3 * i + j] = costs.of[i][2 * k] + costs.of[j][2 * k + 1]
    else:
        for i in range(8):
            for k in range(4):
                quarter[k][i] = costs.of[i][first + k]


cdef inline void search_half(const Book* book, int pair, float half, float cheap, const float (*quarter)[9],
                             float* best, int* found) noexcept nogil:
    """All points whose first two quarters are `pair` and cost `half`; the last one costs `cheap` or more."""
    cdef const int16_t* start = book.start + pair * book.n_quarters
    cdef float most, price
    cdef int i, k
    for k in range(book.n_quarters):
        most = half + quarter[2][k]
        if most + cheap < best[0]:
            for i in range(start[k], start[k + 1]):
                price = most + quarter[3][book.fourth[i]]
                if price < best[0]:
                    best[0], found[0] = price, book.name[i]


make_book(&IQ1, <const int8_t*>iq1s_grid, 2048, 8)
make_book(&IQ2_XXS, <const int8_t*>iq2xxs_grid, 256, 8)
make_book(&IQ2_XS, <const int8_t*>iq2xs_grid, 512, 8)
make_book(&IQ2_S, <const int8_t*>iq2s_grid, 1024, 8)
make_book(&IQ3_XXS, <const int8_t*>iq3xxs_grid, 256, 4)
make_book(&IQ3_S, <const int8_t*>iq3s_grid, 512, 4)
