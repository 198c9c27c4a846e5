"""Quantizers in the vocabulary of simd_neon.pxd."""
from simd_neon cimport *

include "quantizers.pxi"
