"""One row of logits to one token: the loops, in the order of llama.cpp's default chain.

Top-k, top-p and min-p see the distribution at temperature 1; temperature comes last. Candidates
are in descending order of logit and ascending order of id among equals, so that a result
depends on nothing but the row, the settings and the seed.
"""

from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int32_t, uint64_t
from libc.stdlib cimport free, malloc

cdef struct Candidate:
    float logit
    int32_t id

cdef Py_ssize_t BLOCK = 2048, NOT_A_NUMBER = -1, NOTHING = -2


cdef inline bint before(Candidate a, Candidate b) noexcept nogil:
    return a.logit > b.logit or (a.logit == b.logit and a.id < b.id)


cdef float highest(const float *row, Py_ssize_t n, bint *bad) noexcept nogil:
    """The largest of a short stretch; `bad` is set where something is NaN."""
    cdef float[8] lanes        # one vector register or two
    cdef Py_ssize_t i = 0
    cdef int lane, nans = 0
    for lane in range(8):
        lanes[lane] = -INFINITY
    while i + 8 <= n:
        for lane in range(8):
            lanes[lane] = row[i + lane] if row[i + lane] > lanes[lane] else lanes[lane]
            nans |= row[i + lane] != row[i + lane]
        i += 8
    while i < n:
        lanes[0] = row[i] if row[i] > lanes[0] else lanes[0]
        nans |= row[i] != row[i]
        i += 1
    for lane in range(1, 8):
        lanes[0] = lanes[lane] if lanes[lane] > lanes[0] else lanes[0]
    bad[0] |= nans
    return lanes[0]


cdef Py_ssize_t top(const float *row, Py_ssize_t n) noexcept nogil:
    """The lowest id of the highest logit, or one of the two failures."""
    cdef float high = -INFINITY, here
    cdef Py_ssize_t start = 0, i = NOTHING
    cdef bint bad = False
    while start < n:
        here = highest(row + start, min(BLOCK, n - start), &bad)
        if here > high:
            high, i = here, start
        start += BLOCK
    if bad or high == INFINITY:
        return NOT_A_NUMBER
    while i >= 0 and row[i] != high:
        i += 1
    return i


cdef void sink(Candidate *heap, Py_ssize_t at, Py_ssize_t n) noexcept nogil:
    """Restores a heap that has its last candidate on top."""
    cdef Candidate moved = heap[at]
    cdef Py_ssize_t down = 2 * at + 1
    while down < n:
        down += down + 1 < n and before(heap[down], heap[down + 1])
        if not before(moved, heap[down]):
            break
        heap[at] = heap[down]
        at, down = down, 2 * down + 1
    heap[at] = moved


cdef Py_ssize_t best(const float *row, Py_ssize_t n, Py_ssize_t k, Candidate *out) noexcept nogil:
    """The k best of a row in order; k <= n. Impossible ones (-inf) are left out."""
    cdef Py_ssize_t i, used = 0
    cdef float floor = -INFINITY
    for i in range(n):
        if row[i] > floor:
            if used < k:
                out[used].logit, out[used].id = row[i], <int32_t>i
                used += 1
                if used == k:
                    heapify(out, k)
                    floor = out[0].logit
            else:
                out[0].logit, out[0].id = row[i], <int32_t>i
                sink(out, 0, k)
                floor = out[0].logit
    if used < k:
        heapify(out, used)
    for i in range(used - 1, 0, -1):
        out[0], out[i] = out[i], out[0]
        sink(out, 0, i)
    return used


cdef void heapify(Candidate *heap, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n // 2 - 1, -1, -1):
        sink(heap, i, n)


cdef Py_ssize_t nucleus(Candidate *c, Py_ssize_t n, double p, double total) noexcept nogil:
    """How many candidates it takes to reach a probability of p; `total` is the sum of exp."""
    cdef double sum = 0
    cdef Py_ssize_t i
    for i in range(n):
        sum += exp(<double>c[i].logit - c[0].logit)
        if sum >= p * total:
            return i + 1
    return n


cdef class Picker:
    """Settings, a random state and a buffer; `pick(row)` is the token."""
    cdef readonly double temperature, top_p, min_p
    cdef readonly Py_ssize_t top_k
    cdef public uint64_t state
    cdef Candidate *candidates
    cdef Py_ssize_t room

    def __init__(self, double temperature, Py_ssize_t top_k, double top_p, double min_p,
                 uint64_t seed):
        self.temperature, self.top_k, self.top_p = temperature, top_k, top_p
        self.min_p, self.state = min_p, seed

    def __dealloc__(self):
        free(self.candidates)

    cdef int reserve(self, Py_ssize_t n) except -1:
        if n > self.room:
            free(self.candidates)
            self.room = 0
            self.candidates = <Candidate*>malloc(n * sizeof(Candidate))
            if self.candidates == NULL:
                raise MemoryError
            self.room = n
        return 0

    cdef double uniform(self) noexcept nogil:
        """The next number of SplitMix64 (Steele, Lea, Flood 2014) in [0, 1)."""
        cdef uint64_t z
        self.state += GAMMA
        z = self.state
        z = (z ^ (z >> 30)) * MIX1
        z = (z ^ (z >> 27)) * MIX2
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (<uint64_t>1 << 53))

    def pick(self, const float[::1] row):
        """A token id; -1 if the row holds NaN or +inf, -2 if no token is possible."""
        cdef Py_ssize_t n = row.shape[0], high, k
        if n == 0:
            return NOTHING
        with nogil:
            high = top(&row[0], n)
        if high < 0 or self.temperature <= 0:
            return high
        if 0 < self.top_k < n:
            self.reserve(self.top_k)
            with nogil:
                k = self.truncate(best(&row[0], n, self.top_k, self.candidates), 0)
                high = self.draw(k)
            return high
        if self.top_p < 1:
            return self.widen(&row[0], n, row[high])
        with nogil:
            high = self.draw_all(&row[0], n, row[high])
        return high

    def penalize(self, float[::1] row, recent, float penalty):
        """Divides positive logits of the ids in `recent` and multiplies the others, once each."""
        cdef Py_ssize_t i
        for i in set(recent):
            if 0 <= i < row.shape[0]:
                row[i] = row[i] / penalty if row[i] > 0 else row[i] * penalty

    cdef Py_ssize_t truncate(self, Py_ssize_t n, double total) noexcept nogil:
        """Top-p, then min-p; `total` over the whole row, 0 for the sum of the candidates."""
        cdef Candidate *c = self.candidates
        cdef Py_ssize_t i
        cdef double floor
        if self.top_p < 1:
            if total == 0:
                for i in range(n):
                    total += exp(<double>c[i].logit - c[0].logit)
            n = nucleus(c, n, self.top_p, total)
        if self.min_p > 0:
            floor = c[0].logit + log(self.min_p)
            while n > 1 and c[n - 1].logit < floor:
                n -= 1
        return n

    cdef Py_ssize_t draw(self, Py_ssize_t n) noexcept nogil:
        cdef Candidate *c = self.candidates
        cdef Py_ssize_t i
        cdef double total = 0, goal
        for i in range(n):
            total += exp((<double>c[i].logit - c[0].logit) / self.temperature)
        goal = self.uniform() * total
        for i in range(n):
            goal -= exp((<double>c[i].logit - c[0].logit) / self.temperature)
            if goal < 0:
                return c[i].id
        return c[n - 1].id

    cdef widen(self, const float *row, Py_ssize_t n, float high):
        """Top-p without top-k: sorts only as many candidates as the probability needs."""
        cdef Py_ssize_t k = min(256, n), used, kept, i
        cdef double total = 0
        for i in range(n):
            total += exp(<double>row[i] - high)
        while True:
            self.reserve(k)
            with nogil:
                used = best(row, n, k, self.candidates)
                kept = nucleus(self.candidates, used, self.top_p, total)
            if kept < used or used < k or k == n:
                return self.draw(self.truncate(used, total))
            k = min(8 * k, n)

    cdef Py_ssize_t draw_all(self, const float *row, Py_ssize_t n, float high) noexcept nogil:
        """No candidate list: two passes over the row in the order of ids."""
        cdef double floor = high + log(self.min_p) if self.min_p > 0 else -INFINITY
        cdef double total = 0, goal
        cdef Py_ssize_t i, last = 0
        for i in range(n):
            if row[i] >= floor:
                total += exp((<double>row[i] - high) / self.temperature)
        goal = self.uniform() * total
        for i in range(n):
            if row[i] >= floor and row[i] > -INFINITY:
                goal -= exp((<double>row[i] - high) / self.temperature)
                last = i
                if goal < 0:
                    break
        return last


cdef uint64_t GAMMA = 0x9E3779B97F4A7C15
cdef uint64_t MIX1 = 0xBF58476D1CE4E5B9
cdef uint64_t MIX2 = 0x94D049BB133111EB
