"""Weights into panels of rows, as the instruction set in use wants them (the layout is told in isa/gemm.pxi)."""
from cython.parallel cimport prange
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free

import threading

from llama_gguf.engine.abi cimport *

compute = threading.RLock()  # one team at a time in a process

include "kernel_table.pxi"


def lanes():
    """Rows of a panel."""
    return kernel_table().lanes


def packed_types():
    """Ids of the types that have kernels for panels: {type_id: quantized activations?}."""
    cdef const Kernels* k = kernel_table()
    return {k.formats[i].type_id: bool(k.formats[i].quantized) for i in range(k.n_formats)}


def panel_bytes(int type_id, Py_ssize_t cols):
    """Bytes of one panel of `cols` columns."""
    cdef const Format* f = format_of(kernel_table(), type_id)
    return cols // f.block_cols * f.block_bytes


cdef struct Part:            # some panels of one matrix, to be packed by one thread
    const Format* format
    const uint8_t* rows
    Py_ssize_t row_bytes
    int n_rows
    int cols
    uint8_t* panels


cdef void pack_part(const Part* p, int step) noexcept nogil:
    cdef Py_ssize_t size = p.cols // p.format.block_cols * p.format.block_bytes
    cdef int i
    for i in range((p.n_rows + step - 1) // step):
        p.format.pack(p.rows + i * step * p.row_bytes, p.row_bytes, min(step, p.n_rows - i * step), p.cols,
                      p.panels + i * size)


def pack(list jobs, int n_threads):
    """Rows of files into panels. A job is (raw uint8 (rows, row_bytes), type_id, cols, out uint8): `out` gets
    ceil(rows / lanes) panels, one after the other. All jobs run in one parallel region.
    """
    cdef const Kernels* k = kernel_table()
    cdef const uint8_t[:, ::1] raw
    cdef uint8_t[::1] out
    cdef Py_ssize_t n = 0, i, first, size, room
    cdef int chunk = 8 * k.lanes, step = k.lanes
    cdef Part* parts
    for raw, _, _, _ in jobs:
        n += (raw.shape[0] + chunk - 1) // chunk
    parts = <Part*>calloc(max(n, 1), sizeof(Part))
    if parts == NULL:
        raise MemoryError
    try:
        i = 0
        for raw, type_id, cols, out in jobs:
            size = panel_bytes(type_id, cols)
            room = (raw.shape[0] + step - 1) // step * size
            if out.shape[0] < room:
                raise ValueError(f"panels of {room} bytes do not fit into {out.shape[0]}")
            for first in range(0, raw.shape[0], chunk):
                parts[i] = Part(format_of(k, type_id), &raw[first, 0], raw.shape[1],
                                <int>min(raw.shape[0] - first, chunk), cols, &out[first // step * size])
                i += 1
        with compute:
            for i in prange(n, nogil=True, num_threads=n_threads, schedule="dynamic"):
                pack_part(&parts[i], step)
    finally:
        free(parts)
