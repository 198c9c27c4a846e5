# Dequantize a row of any GGUF type: `dequantizer(type_id)(row, out, n)`; include this file alone.
# No Python object, no error, no other module. Values are gguf-py's to the last bit on any machine:
# a half-precision scale times small integers is exact in float32, so each value is rounded once,
# fused multiply-add or not.

from libc.stdint cimport int8_t, uint16_t

from llama_gguf.engine cimport blocks
from llama_gguf.engine.blocks cimport deq_fn, size_is

include "eights.pxi"
include "iq_tables.pxi"
include "dequant_float.pxi"
include "dequant_legacy.pxi"
include "dequant_k.pxi"
include "dequant_iq.pxi"

cdef struct TypeRow:
    int block               # values in a block; 0: there is no such type
    int bytes               # bytes of a block
    deq_fn dequantize


cdef TypeRow type_row(int type_id) noexcept nogil:
    """The table of types. `size_is` does not compile where a struct is not as large as stated."""
    if type_id == blocks.TYPE_F32:
        return TypeRow(1, size_is(sizeof(float), 4), dequantize_f32)
    if type_id == blocks.TYPE_F16:
        return TypeRow(1, size_is(sizeof(uint16_t), 2), dequantize_f16)
    if type_id == blocks.TYPE_Q4_0:
        return TypeRow(32, size_is(sizeof(blocks.block_q4_0), 18), dequantize_q4_0)
    if type_id == blocks.TYPE_Q4_1:
        return TypeRow(32, size_is(sizeof(blocks.block_q4_1), 20), dequantize_q4_1)
    if type_id == blocks.TYPE_Q5_0:
        return TypeRow(32, size_is(sizeof(blocks.block_q5_0), 22), dequantize_q5_0)
    if type_id == blocks.TYPE_Q5_1:
        return TypeRow(32, size_is(sizeof(blocks.block_q5_1), 24), dequantize_q5_1)
    if type_id == blocks.TYPE_Q8_0:
        return TypeRow(32, size_is(sizeof(blocks.block_q8_0), 34), dequantize_q8_0)
    if type_id == blocks.TYPE_Q8_1:
        return TypeRow(32, size_is(sizeof(blocks.block_q8_1), 36), dequantize_q8_1)
    if type_id == blocks.TYPE_Q2_K:
        return TypeRow(256, size_is(sizeof(blocks.block_q2_K), 84), dequantize_q2_k)
    if type_id == blocks.TYPE_Q3_K:
        return TypeRow(256, size_is(sizeof(blocks.block_q3_K), 110), dequantize_q3_k)
    if type_id == blocks.TYPE_Q4_K:
        return TypeRow(256, size_is(sizeof(blocks.block_q4_K), 144), dequantize_q4_k)
    if type_id == blocks.TYPE_Q5_K:
        return TypeRow(256, size_is(sizeof(blocks.block_q5_K), 176), dequantize_q5_k)
    if type_id == blocks.TYPE_Q6_K:
        return TypeRow(256, size_is(sizeof(blocks.block_q6_K), 210), dequantize_q6_k)
    if type_id == blocks.TYPE_Q8_K:
        return TypeRow(256, size_is(sizeof(blocks.block_q8_K), 292), dequantize_q8_k)
    if type_id == blocks.TYPE_IQ2_XXS:
        return TypeRow(256, size_is(sizeof(blocks.block_iq2_xxs), 66), dequantize_iq2_xxs)
    if type_id == blocks.TYPE_IQ2_XS:
        return TypeRow(256, size_is(sizeof(blocks.block_iq2_xs), 74), dequantize_iq2_xs)
    if type_id == blocks.TYPE_IQ3_XXS:
        return TypeRow(256, size_is(sizeof(blocks.block_iq3_xxs), 98), dequantize_iq3_xxs)
    if type_id == blocks.TYPE_IQ1_S:
        return TypeRow(256, size_is(sizeof(blocks.block_iq1_s), 50), dequantize_iq1_s)
    if type_id == blocks.TYPE_IQ4_NL:
        return TypeRow(32, size_is(sizeof(blocks.block_iq4_nl), 18), dequantize_iq4_nl)
    if type_id == blocks.TYPE_IQ3_S:
        return TypeRow(256, size_is(sizeof(blocks.block_iq3_s), 110), dequantize_iq3_s)
    if type_id == blocks.TYPE_IQ2_S:
        return TypeRow(256, size_is(sizeof(blocks.block_iq2_s), 82), dequantize_iq2_s)
    if type_id == blocks.TYPE_IQ4_XS:
        return TypeRow(256, size_is(sizeof(blocks.block_iq4_xs), 136), dequantize_iq4_xs)
    if type_id == blocks.TYPE_I8:
        return TypeRow(1, size_is(sizeof(int8_t), 1), dequantize_i8)
    if type_id == blocks.TYPE_I16:
        return TypeRow(1, size_is(sizeof(cell_i16), 2), dequantize_i16)
    if type_id == blocks.TYPE_I32:
        return TypeRow(1, size_is(sizeof(cell_i32), 4), dequantize_i32)
    if type_id == blocks.TYPE_I64:
        return TypeRow(1, size_is(sizeof(cell_i64), 8), dequantize_i64)
    if type_id == blocks.TYPE_F64:
        return TypeRow(1, size_is(sizeof(cell_f64), 8), dequantize_f64)
    if type_id == blocks.TYPE_IQ1_M:
        return TypeRow(256, size_is(sizeof(blocks.block_iq1_m), 56), dequantize_iq1_m)
    if type_id == blocks.TYPE_BF16:
        return TypeRow(1, size_is(sizeof(cell_bf16), 2), dequantize_bf16)
    if type_id == blocks.TYPE_TQ1_0:
        return TypeRow(256, size_is(sizeof(blocks.block_tq1_0), 54), dequantize_tq1_0)
    if type_id == blocks.TYPE_TQ2_0:
        return TypeRow(256, size_is(sizeof(blocks.block_tq2_0), 66), dequantize_tq2_0)
    if type_id == blocks.TYPE_MXFP4:
        return TypeRow(32, size_is(sizeof(blocks.block_mxfp4), 17), dequantize_mxfp4)
    if type_id == blocks.TYPE_NVFP4:
        return TypeRow(64, size_is(sizeof(blocks.block_nvfp4), 36), dequantize_nvfp4)
    if type_id == blocks.TYPE_Q1_0:
        return TypeRow(128, size_is(sizeof(blocks.block_q1_0), 18), dequantize_q1_0)
    if type_id == blocks.TYPE_Q2_0:
        return TypeRow(64, size_is(sizeof(blocks.block_q2_0), 18), dequantize_q2_0)
    return TypeRow(0, 0, NULL)


cdef inline deq_fn dequantizer(int type_id) noexcept nogil:
    """The function that dequantizes rows of this type, NULL if there is no such type."""
    return type_row(type_id).dequantize
