"""Sums over the values of a tensor, without the GIL."""

import numpy as np
import numpy.typing as npt

def moments(
    values: npt.NDArray[np.float32], columns: npt.NDArray[np.float64], rows: npt.NDArray[np.float64]
) -> tuple[float, float, float, int, int, int, int]: ...
def spread(
    values: npt.NDArray[np.float32],
    mean: float,
    low: float,
    scale: float,
    counts: npt.NDArray[np.int64],
    limits: npt.NDArray[np.float64],
    far: npt.NDArray[np.int64],
) -> tuple[float, float]: ...
