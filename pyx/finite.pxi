# The first block of a row whose scale, or a value of which as float32, is NaN or infinite.
# A finite half-precision scale makes finite values in every type, so most checks read only scales.

from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy

from llama_gguf.engine cimport blocks
from llama_gguf.engine.blocks cimport iq1m_half


cdef inline bint has_bits(const uint8_t* at, uint16_t mask) noexcept nogil:
    """Are all bits of `mask`, the exponent in the upper half of a number, set here?"""
    cdef uint16_t bits
    memcpy(&bits, at, 2)
    return bits & mask == mask


cdef inline Py_ssize_t bad_number(
    const uint8_t* row, Py_ssize_t n, int bytes, int offset, uint16_t mask
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if has_bits(row + i * bytes + offset, mask):
            return i
    return n


cdef inline Py_ssize_t bad_pair(
    const uint8_t* row, Py_ssize_t n, int bytes, int offset
) noexcept nogil:
    """A scale and, after it, a minimum (or a sum)."""
    cdef Py_ssize_t i
    for i in range(n):
        if has_bits(row + i * bytes + offset, 0x7c00):
            return i
        if has_bits(row + i * bytes + offset + 2, 0x7c00):
            return i
    return n


cdef bint bad_values(const uint8_t* block, TypeRow row_type) noexcept nogil:
    """Does a value of this one block overflow? For scales with the range of float32."""
    cdef float values[256]
    cdef int j
    row_type.dequantize(block, values, row_type.block)
    for j in range(row_type.block):
        if has_bits(<const uint8_t*>(values + j) + 2, 0x7f80):
            return True
    return False


cdef Py_ssize_t bad_wide_block(
    const uint8_t* row, Py_ssize_t n, int type_id, TypeRow row_type
) noexcept nogil:
    """Q8_K, F64 and MXFP4, whose E8M0 scale 255 is NaN by its definition."""
    cdef Py_ssize_t i
    cdef const uint8_t* block = row
    for i in range(n):
        if type_id != blocks.TYPE_MXFP4 or block[0] >= 253:
            if type_id == blocks.TYPE_MXFP4 and block[0] == 255 or bad_values(block, row_type):
                return i
        block += row_type.bytes
    return n


cdef Py_ssize_t bad_iq1m_block(const blocks.block_iq1_m* block, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if iq1m_half(block + i) & 0x7c00 == 0x7c00:
            return i
    return n


cdef Py_ssize_t first_bad(
    const uint8_t* row, Py_ssize_t n, int type_id, TypeRow row_type
) noexcept nogil:
    """The index of the first bad one of `n` blocks, or n."""
    cdef int size = row_type.bytes
    if type_id == blocks.TYPE_F32:
        return bad_number(row, n, 4, 2, 0x7f80)
    if type_id == blocks.TYPE_BF16:
        return bad_number(row, n, 2, 0, 0x7f80)
    if type_id in (blocks.TYPE_F64, blocks.TYPE_Q8_K, blocks.TYPE_MXFP4):
        return bad_wide_block(row, n, type_id, row_type)
    if blocks.TYPE_I8 <= type_id <= blocks.TYPE_I64 or type_id == blocks.TYPE_NVFP4:
        return n
    if type_id == blocks.TYPE_IQ1_M:
        return bad_iq1m_block(<const blocks.block_iq1_m*>row, n)
    if type_id == blocks.TYPE_Q2_K:
        return bad_pair(row, n, size, size - 4)
    if type_id in (blocks.TYPE_Q4_1, blocks.TYPE_Q5_1, blocks.TYPE_Q8_1, blocks.TYPE_Q4_K,
                   blocks.TYPE_Q5_K):
        return bad_pair(row, n, size, 0)
    if type_id in (blocks.TYPE_Q3_K, blocks.TYPE_Q6_K, blocks.TYPE_TQ1_0, blocks.TYPE_TQ2_0):
        return bad_number(row, n, size, size - 2, 0x7c00)
    return bad_number(row, n, size, 0, 0x7c00)
