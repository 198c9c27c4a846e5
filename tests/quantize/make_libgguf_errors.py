"""Writes tests/data/libgguf_errors.json: what is lost when libgguf (llama.cpp's reference quantizers) stores our rows.

    pip install libgguf==0.2.2 && python -m tests.quantize.make_libgguf_errors

For every type and every set of rows of `rows.py` two numbers, the relative error without importance and under it; and
where few columns have nearly all importance, the error under it and that of the other columns. libgguf cannot write
Q2_0.
"""

import json

import libgguf
import numpy as np

from llama_gguf.engine.quants import dequantize
from llama_gguf.gguf.types import TYPES
from llama_gguf.quantize.rows import QUANTIZERS

from .rows import ERRORS, importance, others, peaked, relative_error, row_sets

ONES_FOR = ("IQ1_S", "IQ2_XXS", "IQ2_XS")  # libgguf refuses these without importance


def stored(values, kind, weights):
    if weights is None and kind.name in ONES_FOR:
        weights = np.ones(values.shape[1], np.float32)
    raw = libgguf.quantize_rows(values, kind.id, weights)
    return dequantize(raw.reshape(len(values), -1), kind.id, values.shape[1])


def main():
    found = {}
    for name in QUANTIZERS:
        if not TYPES[name].is_quantized or name == "Q2_0":
            continue
        for title, values in row_sets().items():
            weights = importance(values.shape[1])
            plain = relative_error(values, stored(values, TYPES[name], None))
            weighted = relative_error(values, stored(values, TYPES[name], weights), weights)
            found[f"{name} {title}"] = [round(float(error), 9) for error in (plain, weighted)]
        for title in ("normal", "heavy tails"):
            values = row_sets()[title]
            weights, rest = peaked(values.shape[1]), others(values.shape[1])
            theirs = stored(values, TYPES[name], weights)
            errors = relative_error(values, theirs, weights), relative_error(values, theirs, rest)
            found[f"{name} {title}, peaked"] = [round(float(error), 9) for error in errors]
    lines = ",\n".join(f"{json.dumps(title)}: {errors}" for title, errors in found.items())
    ERRORS.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
