"""Quantizers in the vocabulary of simd_avx2.pxd."""
from simd_avx2 cimport *

include "quantizers.pxi"
