# All bodies, in the order in which they build on each other.
from libc.math cimport INFINITY, cos, expf, fabsf, log, log1pf, sin, sqrtf
from libc.stdint cimport int8_t, int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memmove, memset

from llama_gguf.engine.abi cimport *

include "dequant.pxi"
include "codes.pxi"
include "gemm.pxi"
include "gemm_float.pxi"
include "spread.pxi"
include "mesh.pxi"
include "spreads.pxi"
include "tiles.pxi"
include "pack.pxi"
include "pack_iq.pxi"
include "acts.pxi"
include "ops.pxi"
include "dense.pxi"
include "states.pxi"
include "matmul.pxi"
include "routing.pxi"
include "experts.pxi"
include "cache.pxi"
include "pages.pxi"
include "attention.pxi"
include "visible.pxi"
include "latent.pxi"
include "streams.pxi"
include "table.pxi"
