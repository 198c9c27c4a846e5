# The first block of a row whose scale, or a value of which as float32, is NaN or infinite.
# A finite half-precision scale makes finite values in every type, so most checks read only scales.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from llama_gguf.engine cimport blocks
from llama_gguf.engine.blocks cimport iq1m_half

cdef packed struct cell_u16:
    uint16_t bits

cdef packed struct cell_u32:
    uint32_t bits

cdef packed struct cell_u64:
    uint64_t bits


cdef Py_ssize_t bad_cell16(const cell_u16* cells, Py_ssize_t n, uint16_t exponent) noexcept nogil:
    """The first number whose exponent is all ones; runs of 512 without a branch vectorize."""
    cdef Py_ssize_t start, i
    cdef uint16_t bad
    for start in range(0, n, 512):
        bad = 0
        for i in range(start, min(start + 512, n)):
            bad |= cells[i].bits & exponent == exponent
        if bad:
            for i in range(start, n):
                if cells[i].bits & exponent == exponent:
                    return i
    return n


cdef Py_ssize_t bad_cell32(const cell_u32* cells, Py_ssize_t n, uint32_t exponent) noexcept nogil:
    cdef Py_ssize_t start, i
    cdef uint32_t bad
    for start in range(0, n, 512):
        bad = 0
        for i in range(start, min(start + 512, n)):
            bad |= cells[i].bits & exponent == exponent
        if bad:
            for i in range(start, n):
                if cells[i].bits & exponent == exponent:
                    return i
    return n


cdef Py_ssize_t bad_double(const cell_u64* cells, Py_ssize_t n) noexcept nogil:
    """NaN, infinite, or so large that it rounds to infinity: 2**128 - 2**103 and beyond."""
    cdef Py_ssize_t i
    for i in range(n):
        if cells[i].bits & <uint64_t>0x7fffffffffffffff >= <uint64_t>0x47effffff0000000:
            return i
    return n


cdef inline bint has_bits(const uint8_t* at, uint16_t mask) noexcept nogil:
    """Are all bits of `mask`, the exponent in the upper half of a number, set here?"""
    cdef uint16_t bits
    memcpy(&bits, at, 2)
    return bits & mask == mask


cdef Py_ssize_t bad_half(
    const uint8_t* row, Py_ssize_t n, int bytes, int offset
) noexcept nogil:
    """A half-precision scale at `offset` of each block."""
    cdef Py_ssize_t i
    for i in range(n):
        if has_bits(row + i * bytes + offset, 0x7c00):
            return i
    return n


cdef Py_ssize_t bad_pair(
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
    """Q8_K and MXFP4, whose E8M0 scale 255 is NaN by its definition."""
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
        return bad_cell32(<const cell_u32*>row, n, 0x7f800000)
    if type_id == blocks.TYPE_F16:
        return bad_cell16(<const cell_u16*>row, n, 0x7c00)
    if type_id == blocks.TYPE_BF16:
        return bad_cell16(<const cell_u16*>row, n, 0x7f80)
    if type_id == blocks.TYPE_F64:
        return bad_double(<const cell_u64*>row, n)
    if type_id in (blocks.TYPE_Q8_K, blocks.TYPE_MXFP4):
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
        return bad_half(row, n, size, size - 2)
    return bad_half(row, n, size, 0)
