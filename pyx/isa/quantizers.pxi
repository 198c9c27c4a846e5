# Quantizers of all types in the vocabulary of one instruction set, and what runs them over rows.
from cython.parallel cimport prange
from libc.math cimport INFINITY, fabsf
from libc.stdint cimport int8_t, int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from llama_gguf.engine cimport blocks

# `w` (n values) is the importance of each column, above zero; `row` need not be aligned.
ctypedef void (*quantize_fn)(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil

include "iq_tables.pxi"
include "quantize_words.pxi"
include "search.pxi"
include "search_two.pxi"
include "search_super.pxi"
include "search_pairs.pxi"
include "quantize_legacy.pxi"
include "quantize_k.pxi"
include "quantize_small.pxi"
include "codebook.pxi"
include "search_book.pxi"
include "quantize_iq.pxi"


cdef quantize_fn quantizer(int type_id) noexcept nogil:
    """NULL: no such type, or none that is written."""
    if type_id == blocks.TYPE_F16:
        return quantize_f16
    if type_id == blocks.TYPE_BF16:
        return quantize_bf16
    if type_id == blocks.TYPE_Q4_0:
        return quantize_q4_0
    if type_id == blocks.TYPE_Q4_1:
        return quantize_q4_1
    if type_id == blocks.TYPE_Q5_0:
        return quantize_q5_0
    if type_id == blocks.TYPE_Q5_1:
        return quantize_q5_1
    if type_id == blocks.TYPE_Q8_0:
        return quantize_q8_0
    if type_id == blocks.TYPE_Q2_K:
        return quantize_q2_k
    if type_id == blocks.TYPE_Q3_K:
        return quantize_q3_k
    if type_id == blocks.TYPE_Q4_K:
        return quantize_q4_k
    if type_id == blocks.TYPE_Q5_K:
        return quantize_q5_k
    if type_id == blocks.TYPE_Q6_K:
        return quantize_q6_k
    if type_id == blocks.TYPE_IQ1_S:
        return quantize_iq1_s
    if type_id == blocks.TYPE_IQ1_M:
        return quantize_iq1_m
    if type_id == blocks.TYPE_IQ2_XXS:
        return quantize_iq2_xxs
    if type_id == blocks.TYPE_IQ2_XS:
        return quantize_iq2_xs
    if type_id == blocks.TYPE_IQ2_S:
        return quantize_iq2_s
    if type_id == blocks.TYPE_IQ3_XXS:
        return quantize_iq3_xxs
    if type_id == blocks.TYPE_IQ3_S:
        return quantize_iq3_s
    if type_id == blocks.TYPE_IQ4_NL:
        return quantize_iq4_nl
    if type_id == blocks.TYPE_IQ4_XS:
        return quantize_iq4_xs
    if type_id == blocks.TYPE_TQ1_0:
        return quantize_tq1_0
    if type_id == blocks.TYPE_TQ2_0:
        return quantize_tq2_0
    if type_id == blocks.TYPE_MXFP4:
        return quantize_mxfp4
    if type_id == blocks.TYPE_NVFP4:
        return quantize_nvfp4
    if type_id == blocks.TYPE_Q1_0:
        return quantize_q1_0
    if type_id == blocks.TYPE_Q2_0:
        return quantize_q2_0
    return NULL


def quantize(int type_id, const float[:, ::1] values, const float[::1] weights, uint8_t[:, ::1] out, int n_threads):
    """Rows of `values` (rows, columns) into `out` (rows, row bytes), importance `weights` (columns,).

    Nothing is checked here but that sizes of arrays agree: `llama_gguf.quantize.rows` knows the types.
    """
    cdef quantize_fn function = quantizer(type_id)
    cdef Py_ssize_t n = values.shape[1], n_rows = values.shape[0], row_bytes = out.shape[1], r
    if function == NULL or weights.shape[0] != n or out.shape[0] != n_rows:
        raise ValueError(f"type {type_id}, {n_rows} x {n} values, {weights.shape[0]} weights, {out.shape[0]} rows out")
    if n == 0 or n_rows == 0:
        return
    cdef const float* x = &values[0, 0]
    cdef const float* w = &weights[0]
    cdef uint8_t* target = &out[0, 0]
    for r in prange(n_rows, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1):
        function(x + r * n, w, n, target + r * row_bytes)
