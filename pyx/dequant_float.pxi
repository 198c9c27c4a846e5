# Rows of plain numbers to float32. Integers and doubles round to nearest.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint16_t, uint32_t
from libc.string cimport memcpy

from llama_gguf.engine.blocks cimport bits_to_float, halves_to_floats

# One number at any address: a packed struct is how C says "unaligned".
cdef packed struct cell_bf16:
    uint16_t bits

cdef packed struct cell_i16:
    int16_t value

cdef packed struct cell_i32:
    int32_t value

cdef packed struct cell_i64:
    int64_t value

cdef packed struct cell_f64:
    double value


cdef void dequantize_f32(const void* row, float* out, Py_ssize_t n) noexcept nogil:
    memcpy(out, row, n * sizeof(float))


cdef void dequantize_f16(const void* row, float* out, Py_ssize_t n) noexcept nogil:
    halves_to_floats(row, out, n)


cdef void dequantize_bf16(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const cell_bf16* cells = <const cell_bf16*>row
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = bits_to_float(<uint32_t>cells[i].bits << 16)


cdef void dequantize_f64(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const cell_f64* cells = <const cell_f64*>row
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = <float>cells[i].value


cdef void dequantize_i8(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const int8_t* cells = <const int8_t*>row
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = cells[i]


cdef void dequantize_i16(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const cell_i16* cells = <const cell_i16*>row
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = cells[i].value


cdef void dequantize_i32(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const cell_i32* cells = <const cell_i32*>row
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = <float>cells[i].value


cdef void dequantize_i64(const void* row, float* restrict out, Py_ssize_t n) noexcept nogil:
    cdef const cell_i64* cells = <const cell_i64*>row
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = <float>cells[i].value
