# The nearest point of a codebook under weights, exactly. A point has 8 coordinates of 3 levels or 4 of 8; its four
# quarters (two coordinates or one) are looked up in tables of their costs. If each coordinate's best level together
# make a point, that is it. Else points that share their first half are one list, and lists whose first half alone,
# with the cheapest second half there could be, costs more than the best so far, are not entered.

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
    int16_t start[82]        # where in `name` the list of two first quarters begins
    uint16_t name[2048]

cdef Book IQ1, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S


cdef void make_book(Book* book, const int8_t* points, int n_points, int width) noexcept:
    cdef int8_t levels[8]
    cdef int n = 0, i, j, k, spot, half
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
    for half in range(book.n_quarters * book.n_quarters):
        book.start[half] = <int16_t>n
        for i in range(n_points):
            if book.quarter[i][0] * book.n_quarters + book.quarter[i][1] == half:
                book.name[n] = <uint16_t>i
                n += 1
    book.start[book.n_quarters * book.n_quarters] = <int16_t>n


cdef inline int pattern(const Book* book, const uint8_t* q) noexcept nogil:
    cdef int n = book.n_quarters
    return ((q[0] * n + q[1]) * n + q[2]) * n + q[3]


cdef inline void level_costs(const Book* book, const float* a, const float* w, float s, float shift,
                             float (*cost)[8], float* least, uint8_t* best) noexcept nogil:
    """cost[level][coordinate] = w (s (level + shift) - a)**2, and the least of each coordinate with its level."""
    cdef float value, far
    cdef int j, k
    for j in range(8):
        least[j], best[j] = INFINITY, 0
    for k in range(book.n_levels):
        value = s * (book.level[k] + shift)
        for j in range(book.width):
            far = value - a[j]
            cost[k][j] = w[j] * far * far
            best[j] = <uint8_t>k if cost[k][j] < least[j] else best[j]
            least[j] = cost[k][j] if cost[k][j] < least[j] else least[j]


cdef int find_point(const Book* book, const float* a, const float* w, float s, float shift, int seed,
                    float* price) noexcept nogil:
    """The point p nearest to `a`: sum(w (s (p + shift) - a)**2) is least, and becomes `price`. `seed`, a point that
    may be near, or -1, only saves time."""
    cdef float cost[8][8]
    cdef float quarter[4][9]
    cdef float least[8]
    cdef float cheap[4]
    cdef uint8_t best[8]
    cdef uint8_t q[4]
    cdef int i, j, k, found
    level_costs(book, a, w, s, shift, cost, least, best)
    if book.width == 8:
        for k in range(4):
            q[k], cheap[k] = 3 * best[2 * k] + best[2 * k + 1], least[2 * k] + least[2 * k + 1]
    else:
        for k in range(4):
            q[k], cheap[k] = best[k], least[k]
    found = book.place[pattern(book, q)]
    if found >= 0:
        price[0] = cheap[0] + cheap[1] + (cheap[2] + cheap[3])
        return found
    if book.width == 8:
        for k in range(4):
            for i in range(3):
                for j in range(3):
                    quarter[k][3 * i + j] = cost[i][2 * k] + cost[j][2 * k + 1]
    else:
        for k in range(4):
            for i in range(8):
                quarter[k][i] = cost[i][k]
    return search_lists(book, quarter, cheap, q, seed, price)


cdef inline float price_of(const uint8_t* q, const float (*quarter)[9]) noexcept nogil:
    return quarter[0][q[0]] + quarter[1][q[1]] + (quarter[2][q[2]] + quarter[3][q[3]])


cdef inline int search_lists(const Book* book, const float (*quarter)[9], const float* cheap, const uint8_t* q,
                             int seed, float* price) noexcept nogil:
    cdef float best = INFINITY, rest = cheap[2] + cheap[3], first, half
    cdef int n = book.n_quarters, found = -1, i, j
    if seed >= 0:
        best, found = price_of(book.quarter[seed], quarter), seed
    search_list(book, q[0] * n + q[1], quarter, &best, &found)
    for i in range(n):
        first = quarter[0][i]
        if first + cheap[1] + rest < best:
            for j in range(n):
                half = first + quarter[1][j]
                if half + rest < best:
                    search_list(book, i * n + j, quarter, &best, &found)
    price[0] = best
    return found


cdef inline void search_list(const Book* book, int half, const float (*quarter)[9], float* best,
                             int* found) noexcept nogil:
    cdef float price
    cdef int i
    for i in range(book.start[half], book.start[half + 1]):
        price = price_of(book.quarter[book.name[i]], quarter)
        if price < best[0]:
            best[0], found[0] = price, book.name[i]


make_book(&IQ1, <const int8_t*>iq1s_grid, 2048, 8)
make_book(&IQ2_XXS, <const int8_t*>iq2xxs_grid, 256, 8)
make_book(&IQ2_XS, <const int8_t*>iq2xs_grid, 512, 8)
make_book(&IQ2_S, <const int8_t*>iq2s_grid, 1024, 8)
make_book(&IQ3_XXS, <const int8_t*>iq3xxs_grid, 256, 4)
make_book(&IQ3_S, <const int8_t*>iq3s_grid, 512, 4)
