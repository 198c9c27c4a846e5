"""What each tensor type loses of real weights, and how fast rows become blocks: ours beside llama.cpp's quantizers.

    python benchmarks/quantizers.py MODEL.gguf ... --ggml LIBRARY [--types Q4_K,IQ2_S] [--rows 64] [-t 2] [--json OUT]

LIBRARY is llama.cpp's libggml-base (libggml-base.so, .dylib), as the wheel llama-cpp-python has it in `llama_cpp/lib`,
or a Python package with the same function. Rows are spread over all matrices of the models with rows of whole
super-blocks; models of 8 or 16 bits say most, for of 4 bits little is left to lose. Error is the root of the (weighted)
square error over all rows, each matrix by its own size; importance is drawn from a gamma distribution, as unequal as
that of real columns. Both sides quantize the same rows in the same process with the same number of threads; a time is
the best of several. That of one thread is CPU time: a busy machine disturbs it least.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.measure import markdown, publish

NEEDS_IMPORTANCE = ("IQ1_S", "IQ2_XXS", "IQ2_XS")  # llama.cpp aborts without; ours go with ones


class Peer:
    """ggml_quantize_chunk of a shared library, rows shared out to threads."""

    def __init__(self, library, threads):
        self.make = ctypes.CDLL(str(library)).ggml_quantize_chunk
        long, pointer = ctypes.c_int64, ctypes.c_void_p
        self.make.argtypes = (ctypes.c_int, pointer, pointer, long, long, long, pointer)
        self.make.restype = ctypes.c_size_t
        self.threads, self.pool = threads, ThreadPoolExecutor(threads)

    def quantize(self, values, kind, weights):
        import numpy as np

        out = np.zeros((len(values), kind.row_bytes(values.shape[1])), np.uint8)
        where = weights.ctypes.data if weights is not None else None
        parts = [part for part in np.array_split(np.arange(len(values)), self.threads) if len(part)]

        def work(part):
            source, target = values[part[0] :], out[part[0] :]
            self.make(kind.id, source.ctypes.data, target.ctypes.data, 0, len(part), values.shape[1], where)

        for _ in self.pool.map(work, parts) if self.threads > 1 else map(work, parts):
            pass
        return out


def sample(paths, rows):
    """[float32 (rows, columns)] of every matrix whose rows are whole super-blocks, or become so at a cut."""
    import numpy as np

    from llama_gguf.gguf import GGUFFile

    found = []
    for path in paths:
        with GGUFFile(path) as file:
            for tensor in file.tensors.values():
                if len(tensor.shape) == 2 and tensor.shape[1] >= 256:
                    step = max(1, tensor.shape[0] // rows)
                    some = np.array(tensor.numpy()[::step][:rows])
                    found.append(np.ascontiguousarray(some[:, : some.shape[1] // 256 * 256]))
    return found


def importance(n_cols):
    import numpy as np

    return (np.random.default_rng(5).gamma(0.7, size=n_cols) + 1e-3).astype(np.float32)


def loss(values, raw, kind, weights):
    """Square error as a share of the (weighted) squares."""
    import numpy as np

    from llama_gguf.engine.quants import dequantize

    wrong = values - dequantize(raw, kind.id, values.shape[1])
    return float((np.square(wrong, dtype=np.float64) * weights).sum() / (np.square(values) * weights).sum())


def measure(kind, matrices, peer, args):
    """{"plain" and "weighted": {"ours", "peer": error, "ours_mb_s", "peer_mb_s"}}; MB of float32."""
    import numpy as np

    from llama_gguf.quantize.rows import quantize_rows

    clock = time.thread_time if args.threads == 1 else time.perf_counter
    found = {"type": kind.name, "bits": kind.bits_per_weight}
    for title in ("plain", "weighted"):
        lost, spent = {"ours": 0.0, "peer": 0.0}, {"ours": 0.0, "peer": 0.0}
        for values in matrices:
            ones, weights = np.ones(values.shape[1], np.float32), importance(values.shape[1])
            given = weights if title == "weighted" else ones
            theirs = given if title == "weighted" or kind.name in NEEDS_IMPORTANCE else None
            sides = {
                "ours": lambda v=values, g=given: quantize_rows(v, kind, g, args.threads),
                "peer": lambda v=values, t=theirs: peer.quantize(v, kind, t),
            }
            for side, quantize in sides.items():
                raw, seconds = best_of(quantize, args.repeat, clock)
                lost[side] += loss(values, raw, kind, given)
                spent[side] += seconds
        size = sum(values.nbytes for values in matrices) / 1e6
        found[title] = {side: (lost[side] / len(matrices)) ** 0.5 for side in lost}
        found[title] |= {f"{side}_mb_s": size / spent[side] for side in spent}
    return found


def best_of(function, times, clock):
    best = float("inf")
    for _ in range(times):
        began = clock()
        result = function()
        best = min(best, clock() - began)
    return result, best


def table(found):
    titles = ("type", "bits", "error", "ours / llama.cpp", "under importance", "ours / llama.cpp")
    titles += ("MB/s", "llama.cpp", "under importance", "llama.cpp")
    return markdown(titles, [row(kind) for kind in found])


def row(kind):
    cells = [kind["type"], f"{kind['bits']:.4g}"]
    for title in ("plain", "weighted"):
        cells += [f"{kind[title]['ours']:.4f}", f"{kind[title]['ours'] / kind[title]['peer']:.3f}"]
    for title in ("plain", "weighted"):
        cells += [f"{kind[title]['ours_mb_s']:.0f}", f"{kind[title]['peer_mb_s']:.0f}"]
    return cells


def main(argv=None):
    from llama_gguf.gguf.types import TYPES
    from llama_gguf.quantize.rows import QUANTIZERS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--ggml", required=True, type=Path)
    parser.add_argument("--types", type=lambda text: text.split(","), default=None)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("-r", "--repeat", type=int, default=2)
    parser.add_argument("-t", "--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args(argv)
    names = args.types or [name for name in QUANTIZERS if TYPES[name].is_quantized]
    matrices, peer = sample(args.models, args.rows), Peer(args.ggml, args.threads)
    found = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found.append(measure(TYPES[name], matrices, peer, args))
    publish(found, table(found), args.json)


if __name__ == "__main__":
    main()
