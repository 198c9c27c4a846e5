"""Kernels in the vocabulary of simd_avx512.pxd, which setup.py tells to use AMX's tiles for products with many tokens."""
from simd_avx512 cimport *

include "kernels.pxi"
