"""llama.cpp's own quantizer on one file, by its Python binding; prints seconds and peak memory as one JSON line.

    VENV/bin/python benchmarks/peer_quantize.py IN OUT NUMBER [WEIGHTS.npz] [THREADS]

NUMBER is general.file_type; WEIGHTS holds the importance of each tensor's columns. Runs in a venv with
llama-cpp-python, without llama_gguf.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import ctypes
import json
import time
from pathlib import Path

import llama_cpp as c
import numpy as np


def importance(path):
    """The array of llama_model_imatrix_data that the quantizer takes, and what keeps it alive."""
    arrays = {name: np.ascontiguousarray(x, np.float32).reshape(-1) for name, x in np.load(path).items()}
    rows = (c.llama_model_imatrix_data * (len(arrays) + 1))()
    for row, (name, x) in zip(rows, arrays.items(), strict=False):
        row.name, row.data, row.size = name.encode(), x.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), x.size
    return rows, arrays


def main(source, out, number, weights="", threads="2"):
    silent = c.llama_log_callback(lambda level, text, data: None)
    c.llama_log_set(silent, ctypes.c_void_p(0))
    c.llama_backend_init()
    params = c.llama_model_quantize_default_params()
    params.ftype, params.nthread = int(number), int(threads)
    if weights:
        rows, _kept = importance(weights)
        params.imatrix = ctypes.cast(rows, type(params.imatrix))
    began = time.perf_counter()
    code = c.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(params))
    seconds = time.perf_counter() - began
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"code": code, "seconds": seconds, "peak_bytes": 1024 * int(peak.split()[1])}))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
