"""Kernels in the vocabulary of simd_avx512.pxd, which setup.py tells to multiply many tokens on AMX's tiles."""
from simd_avx512 cimport *

include "kernels.pxi"
