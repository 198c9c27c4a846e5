"""Quantizers in the vocabulary of simd_avx512.pxd."""
from simd_avx512 cimport *

include "quantizers.pxi"
