"""Kernels in the vocabulary of simd_avx2.pxd, which setup.py tells to use AVX-VNNI."""
from simd_avx2 cimport *

include "kernels.pxi"
