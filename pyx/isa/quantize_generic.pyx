"""Quantizers in the vocabulary of simd_generic.pxd."""
from simd_generic cimport *

include "quantizers.pxi"
