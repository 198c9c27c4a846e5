"""What a machine gives at best: bytes read and multiply-adds per second, for benchmarks.

`isa` is one of ISAS that this machine runs (`llama_gguf.engine.cpu.missing`): no other is checked.
"""

import numpy as np
import numpy.typing as npt

ISAS: tuple[str, ...]

def read_seconds(data: npt.NDArray[np.uint8], n_threads: int, isa: str = ...) -> float: ...
def multiply_seconds(rounds: int, n_threads: int, isa: str = ...) -> tuple[float, int]: ...
