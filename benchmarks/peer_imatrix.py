"""Sums of squares of what every weight multiplies in llama.cpp, as its evaluation callback shows them, to a .npz.

    VENV/bin/python benchmarks/peer_imatrix.py MODEL 1,2,3,... OUT.npz

For each weight NAME|squares, float32 (matrices, columns), and NAME|counts. tests/data/imatrix_llama_cpp.npz was made
with it. Runs in a venv with llama-cpp-python, without llama_gguf.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import ctypes
from pathlib import Path

import llama_cpp as c
import numpy as np

GGML = ctypes.CDLL(str(Path(c.__file__).parent / "lib" / "libggml-base.so"))
GGML.ggml_op_desc.restype, GGML.ggml_op_desc.argtypes = ctypes.c_char_p, [ctypes.c_void_p]


class Tensor(ctypes.Structure):
    """struct ggml_tensor of ggml.h."""


Tensor._fields_ = [
    ("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4), ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int), ("params", ctypes.c_int32 * 16), ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * 10), ("view_src", ctypes.c_void_p), ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p), ("name", ctypes.c_char * 64),
]


def values(pointer, dtype):
    """The array of a tensor in memory, sizes in NumPy order."""
    t = pointer.contents
    shape, strides = list(t.ne)[::-1], list(t.nb)[::-1]
    size = sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) + strides[-1]
    return np.ndarray(shape, dtype, (ctypes.c_char * size).from_address(t.data), 0, strides)


class Collector:
    """The callback; `sums` has what it saw."""

    def __init__(self):
        self.sums = {}

    def __call__(self, pointer, ask, _):
        op, t = GGML.ggml_op_desc(pointer), ctypes.cast(pointer, ctypes.POINTER(Tensor)).contents
        if op not in (b"MUL_MAT", b"MUL_MAT_ID") or not t.src[0].contents.name.endswith(b".weight"):
            return not ask
        if not ask:
            weight, x = t.src[0].contents, values(t.src[1], np.float32).astype(np.float64)
            ids = values(t.src[2], np.int32)[0, 0] if op == b"MUL_MAT_ID" else None
            squares, counts = self.experts(x, ids, weight.ne[2]) if ids is not None else self.dense(x, weight.ne[2])
            before = self.sums.get(weight.name.decode(), (0, 0))
            self.sums[weight.name.decode()] = before[0] + squares, before[1] + counts
        return True

    def dense(self, x, matrices):
        squares = np.square(x)
        squares = squares.sum((0, 2)) if matrices > 1 else squares.reshape(-1, x.shape[-1]).sum(0)[None]
        return squares, np.array([x.size // x.shape[-1] // matrices])

    def experts(self, x, ids, matrices):
        squares, counts = np.zeros((matrices, x.shape[-1])), np.zeros(matrices, int)
        for row, chosen in enumerate(ids):
            for slot, expert in enumerate(chosen):
                squares[expert] += x[0, row, slot % x.shape[2]] ** 2
                counts[expert] += 1
        return squares, counts


def main(path, ids, out):
    silent = c.llama_log_callback(lambda level, text, data: None)
    c.llama_log_set(silent, ctypes.c_void_p(0))
    c.llama_backend_init()
    collector, ids = Collector(), [int(i) for i in ids.split(",")]
    seen = c.ggml_backend_sched_eval_callback(collector)
    params = c.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = max(64, len(ids))
    params.type_k = params.type_v = params.flash_attn_type = 0
    params.cb_eval = seen
    model = c.llama_model_load_from_file(path.encode(), c.llama_model_default_params())
    context = c.llama_init_from_model(model, params)
    batch = c.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
        batch.seq_id[i][0] = 0
    collector.sums.clear()
    if c.llama_decode(context, batch):
        sys.exit("llama.cpp could not run the model")
    squares = {f"{name}|squares": s.astype(np.float32) for name, (s, _) in collector.sums.items()}
    np.savez_compressed(out, **squares, **{f"{name}|counts": n for name, (_, n) in collector.sums.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
