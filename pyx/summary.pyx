"""Sums over the values of a tensor, one pass each, without the GIL: see llama_gguf/gguf/stats.py."""
from libc.float cimport FLT_MAX
from libc.math cimport fabs, fabsf, INFINITY
from libc.stdint cimport int64_t

cdef enum:
    LANES = 4  # (and the step of the loop over them) sums side by side, so that one addition need not wait for the last


cdef inline bint is_finite(float v) noexcept nogil:
    return fabsf(v) <= FLT_MAX


cdef inline bint all_finite(const float* row, Py_ssize_t n) noexcept nogil:
    cdef int finite = 1
    cdef Py_ssize_t j
    for j in range(n):
        finite &= is_finite(row[j])
    return finite


cdef struct Sums:
    double total, low, high
    int64_t count, zeros, nans, infinite


cdef double plain_row(const float* row, Py_ssize_t n, double* columns, Sums* sums) noexcept nogil:
    """A row of finite values; its sum of squares."""
    cdef double total[LANES]
    cdef double squares[LANES]
    cdef double v
    cdef float low = row[0], high = row[0]
    cdef int64_t zeros = 0
    cdef Py_ssize_t j, k, whole = n - n % LANES
    for k in range(LANES):
        total[k] = squares[k] = 0
    for j in range(0, whole, 4):
        for k in range(LANES):
            v = row[j + k]
            total[k] += v
            squares[k] += v * v
            columns[j + k] += v * v
    for j in range(whole, n):
        v = row[j]
        total[0] += v
        squares[0] += v * v
        columns[j] += v * v
    for j in range(n):
        low = row[j] if row[j] < low else low
        high = row[j] if row[j] > high else high
        zeros += row[j] == 0
    sums.low, sums.high = min(sums.low, <double> low), max(sums.high, <double> high)
    sums.zeros += zeros
    sums.count += n
    for k in range(LANES):
        sums.total += total[k]
    return (squares[0] + squares[1]) + (squares[2] + squares[3])


cdef double odd_row(const float* row, Py_ssize_t n, double* columns, Sums* sums) noexcept nogil:
    """A row with NaN or infinity, which are counted and otherwise left out."""
    cdef double v, squares = 0
    cdef Py_ssize_t j
    for j in range(n):
        v = row[j]
        if not is_finite(row[j]):
            sums.nans += v != v
            sums.infinite += v == v
            continue
        sums.low, sums.high = min(sums.low, v), max(sums.high, v)
        sums.zeros += v == 0
        sums.count += 1
        sums.total += v
        squares += v * v
        columns[j] += v * v
    return squares


def moments(const float[:, ::1] values, double[::1] columns, double[::1] rows):
    """(total, least, largest, finite values, zeros, NaN, infinities); squares are added to `columns`, set in `rows`."""
    cdef Sums sums = Sums(0, INFINITY, -INFINITY, 0, 0, 0, 0)
    cdef Py_ssize_t i, n = values.shape[1]
    if columns.shape[0] != n or rows.shape[0] != values.shape[0]:
        raise ValueError(f"{values.shape[0]} x {n} values need as many rows and columns")
    if n:
        with nogil:
            for i in range(values.shape[0]):
                if all_finite(&values[i, 0], n):
                    rows[i] = plain_row(&values[i, 0], n, &columns[0], &sums)
                else:
                    rows[i] = odd_row(&values[i, 0], n, &columns[0], &sums)
    return sums.total, sums.low, sums.high, sums.count, sums.zeros, sums.nans, sums.infinite


def spread(
    const float[:, ::1] values, double mean, double low, double scale, int64_t[::1] counts, const double[::1] limits,
    int64_t[::1] far,
):
    """(squares, fourth powers) of the differences from `mean`, finite values only.

    Adds to `counts` in which bin, (value - low) * scale, they fall, and to `far` how many differ by more than `limits`.
    """
    cdef double v, off, square, squares = 0, fourths = 0
    cdef Py_ssize_t i, j, k, at, last = counts.shape[0] - 1, n = values.shape[1]
    if counts.shape[0] < 1 or limits.shape[0] != far.shape[0]:
        raise ValueError("there must be bins, and as many limits as counts of what is beyond them")
    with nogil:
        for i in range(values.shape[0]):
            for j in range(n):
                v = values[i, j]
                if not is_finite(values[i, j]):
                    continue
                at = <Py_ssize_t> ((v - low) * scale)
                counts[0 if at < 0 else last if at > last else at] += 1
                off = v - mean
                square = off * off
                squares += square
                fourths += square * square
                off = fabs(off)
                for k in range(far.shape[0]):
                    if off <= limits[k]:
                        break
                    far[k] += 1
    return squares, fourths
