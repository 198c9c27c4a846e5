"""Whole tensors of any GGUF type to float32, in parallel over rows; and are their scales finite?

Type ids are those of `llama_gguf.gguf.types`; raw data is uint8 (rows, row_bytes), C-contiguous,
and may be read-only.
"""

import numpy as np
import numpy.typing as npt

def dequantize(
    raw: npt.NDArray[np.uint8],
    type_id: int,
    n_cols: int,
    n_threads: int = 0,
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """float32 (rows, n_cols), in `out` where given. `n_threads` 0 takes all that are useful here.

    FormatError (a ValueError) where type, bytes and columns do not fit together.
    """

def check_finite(
    raw: npt.NDArray[np.uint8], type_id: int, n_cols: int, n_threads: int = 0
) -> tuple[int, int] | None:
    """(row, block) of the first NaN or infinite scale or value, or None.

    The block of an unquantized type is one column.
    """

def block_shape(type_id: int) -> tuple[int, int]:
    """(values in a block, bytes of a block), as the compiled structs have it."""

def codebook(name: str) -> npt.NDArray[np.int8]:
    """int8 points that a block names: (points, 8) for iq1 and iq2, (points, 4) for iq3, (16,)."""
