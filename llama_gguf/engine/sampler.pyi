"""One row of logits to one token."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

class Picker:
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    state: int

    def __init__(
        self, temperature: float, top_k: int, top_p: float, min_p: float, seed: int
    ) -> None: ...
    def penalize(
        self, row: NDArray[np.float32], recent: Iterable[int], penalty: float
    ) -> None: ...
    def pick(self, row: NDArray[np.float32]) -> int: ...
