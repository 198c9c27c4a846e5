"""Whole tensors of any GGUF type to float32, in parallel over rows; and are their scales finite?"""

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
from libc.stdint cimport uint8_t

import numpy as np

from llama_gguf.engine.cpu import usable_threads
from llama_gguf.errors import FormatError

include "dequant.pxi"
include "finite.pxi"

cdef enum:
    ALONE = 1 << 15             # values or bytes that one thread handles sooner than a team
    CHUNK = 1 << 24             # values between two looks for Ctrl-C


def dequantize(raw, int type_id, Py_ssize_t n_cols, int n_threads=0, out=None):
    """float32 (rows, n_cols) from uint8 (rows, row_bytes), which must be C-contiguous.

    `n_threads` 0 takes all that are useful here. `out` receives the values instead of a new array.
    FormatError (a ValueError) where type, bytes and columns do not fit together.
    """
    cdef const uint8_t[:, ::1] rows = raw
    cdef TypeRow kind = checked_type(type_id, rows.shape[1], n_cols, n_threads)
    if out is None:
        out = np.empty((rows.shape[0], n_cols), dtype=np.float32)
    cdef float[:, ::1] values = out
    if values.shape[0] != rows.shape[0] or values.shape[1] != n_cols:
        raise ValueError(f"out must have shape {rows.shape[0], n_cols}, not {out.shape}")
    if out.size == 0:
        return out
    cdef Py_ssize_t step = max(1, CHUNK // n_cols), start, stop
    cdef int team = team_size(out.size, n_threads)
    for start in range(0, rows.shape[0], step):
        stop = min(start + step, rows.shape[0])
        dequantize_rows(rows, values, start, stop, kind.dequantize, team)
        PyErr_CheckSignals()
    return out


cdef void dequantize_rows(
    const uint8_t[:, ::1] rows, float[:, ::1] values, Py_ssize_t start, Py_ssize_t stop,
    deq_fn function, int team
) noexcept:
    cdef Py_ssize_t n_cols = values.shape[1], row_bytes = rows.shape[1], r
    cdef const uint8_t* source = &rows[0, 0]
    cdef float* target = &values[0, 0]
    for r in prange(start, stop, nogil=True, schedule="static", num_threads=team,
                    use_threads_if=team > 1):
        function(source + r * row_bytes, target + r * n_cols, n_cols)


def check_finite(raw, int type_id, Py_ssize_t n_cols, int n_threads=0):
    """(row, block) of the first NaN or infinite scale or value, or None; arguments as above.

    The block of an unquantized type is one column.
    """
    cdef const uint8_t[:, ::1] rows = raw
    cdef TypeRow kind = checked_type(type_id, rows.shape[1], n_cols, n_threads)
    if rows.shape[0] == 0 or n_cols == 0:
        return None
    cdef Py_ssize_t n = n_cols // kind.block, step = max(1, CHUNK // n_cols), start, stop, r
    cdef Py_ssize_t[::1] found = np.empty(min(step, rows.shape[0]), dtype=np.intp)
    cdef int team = team_size(rows.shape[0] * rows.shape[1], n_threads)
    for start in range(0, rows.shape[0], step):
        stop = min(start + step, rows.shape[0])
        check_rows(rows, found, start, stop, n, type_id, kind, team)
        PyErr_CheckSignals()
        for r in range(stop - start):
            if found[r] < n:
                return start + r, found[r]
    return None


cdef void check_rows(
    const uint8_t[:, ::1] rows, Py_ssize_t[::1] found, Py_ssize_t start, Py_ssize_t stop,
    Py_ssize_t n, int type_id, TypeRow kind, int team
) noexcept:
    cdef Py_ssize_t row_bytes = rows.shape[1], r
    cdef const uint8_t* source = &rows[0, 0]
    cdef Py_ssize_t* target = &found[0]
    for r in prange(start, stop, nogil=True, schedule="static", num_threads=team,
                    use_threads_if=team > 1):
        target[r - start] = first_bad(source + r * row_bytes, n, type_id, kind)


cdef int team_size(Py_ssize_t work, int n_threads):
    return 1 if work < ALONE else n_threads or int(usable_threads())


cdef TypeRow checked_type(
    int type_id, Py_ssize_t row_bytes, Py_ssize_t n_cols, int n_threads
) except *:
    """The row of the table, once it is certain that nothing below can read past the end."""
    cdef TypeRow kind = type_row(type_id)
    if not kind.block:
        raise FormatError(f"there is no tensor type with id {type_id}")
    if not 0 <= n_threads <= 1024:
        raise ValueError(f"n_threads must be 0 to 1024, not {n_threads}")
    if n_cols < 0 or n_cols % kind.block:
        raise FormatError(f"type {type_id} holds blocks of {kind.block} values: {n_cols} columns")
    if row_bytes % kind.bytes or row_bytes // kind.bytes != n_cols // kind.block:
        raise FormatError(f"{n_cols} columns of type {type_id} take "
                          f"{int(n_cols) // kind.block * kind.bytes} bytes, not {row_bytes}")
    return kind


def block_shape(int type_id):
    """(values in a block, bytes of a block), as the compiled structs have it."""
    cdef TypeRow kind = checked_type(type_id, 0, 0, 0)
    return kind.block, kind.bytes


def codebook(name):
    """int8 points that a block names: (points, 8) for iq1 and iq2, (points, 4) for iq3, (16,)."""
    points, width = {
        "iq1": ((<const char*>iq1s_grid)[:sizeof(iq1s_grid)], 8),
        "iq2_xxs": ((<const char*>iq2xxs_grid)[:sizeof(iq2xxs_grid)], 8),
        "iq2_xs": ((<const char*>iq2xs_grid)[:sizeof(iq2xs_grid)], 8),
        "iq2_s": ((<const char*>iq2s_grid)[:sizeof(iq2s_grid)], 8),
        "iq3_xxs": ((<const char*>iq3xxs_grid)[:sizeof(iq3xxs_grid)], 4),
        "iq3_s": ((<const char*>iq3s_grid)[:sizeof(iq3s_grid)], 4),
        "iq4": ((<const char*>iq4_values)[:sizeof(iq4_values)], 1),
        "fp4": ((<const char*>fp4_values)[:sizeof(fp4_values)], 1),
    }[name]
    grid = np.frombuffer(points, dtype=np.int8)
    return grid.reshape(-1, width) if width > 1 else grid
