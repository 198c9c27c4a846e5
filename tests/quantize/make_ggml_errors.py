"""Write tests/data/ggml_errors.json: the errors of ggml's own quantizers on the rows of test_rows.py.

    python tests/quantize/make_ggml_errors.py

Needs libgguf 0.2.2, which is ggml's quantizers, and gguf (its numbers of types).
"""

import json
import sys
from pathlib import Path

import libgguf
import numpy as np
from gguf import GGMLQuantizationType

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.quantize.test_rows import DATA, QUANTIZERS, real_rows, waves


def error(values, name, weights, count):
    """Root of the mean square error, columns weighted by `count`."""
    kind = int(GGMLQuantizationType[name])
    if weights is None and libgguf.quantize_requires_imatrix(kind):
        weights = np.ones(values.shape[1], np.float32)
    raw = libgguf.quantize_rows(values, kind, weights)
    stored = libgguf.dequantize_rows(raw, kind, values.shape[1]).reshape(values.shape)
    return float(f"{np.sqrt((np.square(values.astype(np.float64) - stored) * count).mean()):.8g}")


if __name__ == "__main__":
    rows, names = real_rows(), [n for n in QUANTIZERS if n not in ("F16", "BF16", "Q2_0")]  # Q2_0: newer than libgguf
    found = {name: [error(rows, name, None, 1), error(rows, name, waves(), waves())] for name in names}
    lines = ",\n".join(f'  "{name}": {json.dumps(pair)}' for name, pair in found.items())
    (DATA / "ggml_errors.json").write_text(f"{{\n{lines}\n}}\n")
