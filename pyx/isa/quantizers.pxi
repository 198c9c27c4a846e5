# Quantizers of all types in the vocabulary of one instruction set, and what runs them over rows of any type.
from libc.math cimport INFINITY, fabsf
from libc.stdint cimport int8_t, int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from llama_gguf.engine cimport blocks

include "dequant.pxi"

cdef enum:
    PIECE = 8192                # values that are floats at a time: they stay in the nearest cache

# `w` (n values) is the importance of each column, above zero; rows need not be aligned.
ctypedef void (*quantize_fn)(const float* x, const float* w, Py_ssize_t n, void* row) noexcept nogil
# The same for whole rows of n values, `total` values in all; `w` is NULL where all columns count the same.
ctypedef void (*batch_fn)(const float* x, const float* w, Py_ssize_t n, Py_ssize_t total, void* rows) noexcept nogil

include "quantize_words.pxi"
include "search.pxi"
include "search_batch.pxi"
include "search_two.pxi"
include "search_batch_two.pxi"
include "search_super.pxi"
include "search_pairs.pxi"
include "quantize_legacy.pxi"
include "quantize_k.pxi"
include "quantize_small.pxi"
include "codebook.pxi"
include "search_book.pxi"
include "quantize_iq.pxi"


cdef batch_fn batch_quantizer(int type_id) noexcept nogil:
    """NULL: rows of this type are stored one by one."""
    if type_id == blocks.TYPE_Q4_0:
        return quantize_q4_0
    if type_id == blocks.TYPE_Q5_0:
        return quantize_q5_0
    if type_id == blocks.TYPE_Q8_0:
        return quantize_q8_0
    if type_id == blocks.TYPE_Q2_0:
        return quantize_q2_0
    if type_id == blocks.TYPE_Q4_1:
        return quantize_q4_1
    if type_id == blocks.TYPE_Q5_1:
        return quantize_q5_1
    if type_id == blocks.TYPE_TQ1_0:
        return quantize_tq1_0
    if type_id == blocks.TYPE_TQ2_0:
        return quantize_tq2_0
    if type_id == blocks.TYPE_MXFP4:
        return quantize_mxfp4
    return NULL


cdef quantize_fn quantizer(int type_id) noexcept nogil:
    """NULL: no such type, or one that comes in batches, or none that is written."""
    if type_id == blocks.TYPE_F32:
        return quantize_f32
    if type_id == blocks.TYPE_F16:
        return quantize_f16
    if type_id == blocks.TYPE_BF16:
        return quantize_bf16
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
    if type_id == blocks.TYPE_NVFP4:
        return quantize_nvfp4
    if type_id == blocks.TYPE_Q1_0:
        return quantize_q1_0
    return NULL


cdef struct How:             # one of these two, and the importance of the columns
    quantize_fn row
    batch_fn batch
    const float* w


def quantize(int type_id, int source_id, const uint8_t[:, ::1] rows, const float[::1] weights, uint8_t[:, ::1] out):
    """Rows (rows, row bytes) of type `source_id` into `out` (rows, row bytes), importance `weights` (columns,).

    Returns the first row with a value that is NaN or infinite, where it ends, or -1. Nothing is checked here but that
    sizes of arrays agree: `llama_gguf.quantize.rows` knows the types.
    """
    cdef How how = How(quantizer(type_id), batch_quantizer(type_id), NULL)
    cdef TypeRow source = type_row(source_id)
    cdef Py_ssize_t n = weights.shape[0], n_rows = rows.shape[0], each, wrong
    cdef float* values = NULL
    if (how.row == NULL and how.batch == NULL or not source.block or rows.shape[1] * source.block != n * source.bytes
            or out.shape[0] != n_rows):
        raise ValueError(f"type {type_id} from {source_id}, {n_rows} rows of {rows.shape[1]} bytes, {n} weights,"
                         f" {out.shape[0]} rows out")
    if n == 0 or n_rows == 0:
        return -1
    how.w = &weights[0]
    each = max(1, PIECE // n)
    if source_id != blocks.TYPE_F32:
        values = <float*>malloc(each * n * sizeof(float))
        if values == NULL:
            raise MemoryError(f"a row of {n} values")
    with nogil:
        wrong = store_rows(&how, source.dequantize, rows, out, n, each, values)
    free(values)
    return wrong


cdef Py_ssize_t store_rows(const How* how, deq_fn source, const uint8_t[:, ::1] rows, uint8_t[:, ::1] out,
                           Py_ssize_t n, Py_ssize_t each, float* values) noexcept nogil:
    """`each` rows at a time, by way of `values` unless they are float32."""
    cdef Py_ssize_t row_bytes = rows.shape[1], out_bytes = out.shape[1], n_rows = rows.shape[0]
    cdef Py_ssize_t start = 0, some, r
    cdef const uint8_t* raw = &rows[0, 0]
    cdef uint8_t* target = &out[0, 0]
    cdef const float* x
    cdef const float* w = how.w
    if how.batch != NULL and all_one(w, n):
        w = NULL
    while start < n_rows:
        some = min(each, n_rows - start)
        x = values
        if values == NULL:
            x = <const float*>(raw + start * row_bytes)
        else:
            source(raw + start * row_bytes, values, some * n)
        if not all_finite(x, some * n):
            for r in range(some):
                if not all_finite(x + r * n, n):
                    return start + r
        if how.batch != NULL:
            how.batch(x, w, n, some * n, target + start * out_bytes)
        else:
            for r in range(some):
                how.row(x + r * n, w, n, target + (start + r) * out_bytes)
        start += some
    return -1


cdef bint all_one(const float* w, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        if w[j] != 1:
            return False
    return True


cdef bint all_finite(const float* x, Py_ssize_t n) noexcept nogil:
    """Zero times a number is zero; times anything else it is not, and no sum is zero again."""
    cdef vf total = vf_zero()
    cdef float rest = 0
    cdef Py_ssize_t j
    for j in range(n // LANES):
        total = vf_add(total, vf_mul(vf_load(x + j * LANES), vf_zero()))
    for j in range(n // LANES * LANES, n):
        rest += x[j] * 0
    return vf_sum(total) + rest == 0
