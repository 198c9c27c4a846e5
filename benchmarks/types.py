"""Speed of matrix products for each tensor type: one token (decode) and many (prefill).

    python benchmarks/types.py [--types Q4_K,Q6_K] [-t 1,2] [-r 5] [--json OUT]

Decode is told in GB/s beside what the machine reads from memory: of the bytes that the file has,
and of those that are read, which for some types are more (panels hold scales that are unpacked).
Prefill is told in GFLOP/s beside the FP32 multiply-add peak. Both limits are measured in the same
run. Matrices are 4096 x 4096, like those of attention in a 7B model, with random codes: as many as
no cache holds for decode, two for prefill. Times are the engine's own, of the products alone
(`Plan.time`). type_speeds.py has whole models of each type beside llama.cpp.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
from functools import lru_cache
from pathlib import Path

from benchmarks.machine import BYTES, Machine, description
from benchmarks.measure import figure, markdown, numbers, publish, spread, spread_text

PREFILL_MATRICES = 2
LIMITS = {
    "decode_gb_s": "read_gb_s",
    "read_gb_s": "read_gb_s",
    "prefill_gflop_s": "peak_gflop_s",
}
"""What of a type is compared with what of the machine."""


class RandomTensor:
    """A tensor as weights.py sees one. All of one type and shape have the same bytes, each a copy of
    its own: what is read from memory does not depend on them, and random bytes are slow to make."""

    def __init__(self, name, kind, rows, cols):
        self.name, self.type, self.shape = name, kind, (rows, cols)
        self.row_bytes = kind.row_bytes(cols)
        self.n_bytes = rows * self.row_bytes
        self.raw = random_rows(kind.name, rows, cols).copy()

    def release(self, first=0, rows=None):
        """The packed copy is all that is needed from now on."""
        self.raw = None


@lru_cache(1)
def random_rows(name, rows, cols):
    """uint8 (rows, row_bytes): every code of the type, scales of ordinary size."""
    import numpy as np

    from llama_gguf.testing import random_matrix

    return random_matrix(name, rows, cols, np.random.default_rng(0)).view(np.uint8)


def bytes_read(kind, rows, cols, repack=True):
    """Bytes of a matrix as it lies in memory: in panels, or as in the file."""
    from llama_gguf.engine import panels

    if not repack or kind.id not in panels.packed_types():
        return rows * kind.row_bytes(cols)
    return -(-rows // panels.lanes()) * panels.panel_bytes(kind.id, cols)


class Products:
    """A plan of `count` products that read one input: float32 (tokens, cols)."""

    def __init__(self, kind, rows, cols, count, capacity, n_threads, repack=True):
        import numpy as np

        from llama_gguf.cache import KVCache
        from llama_gguf.lowering import Lowering
        from llama_gguf.planner import Planned
        from llama_gguf.weights import WeightStore

        self.shape, self.count, self.kind = (rows, cols), count, kind
        store = WeightStore(repack=repack, n_threads=n_threads)
        graph = self.graph()
        self.planned = Planned(
            Lowering(graph, store),
            store,
            KVCache({}, 1),
            capacity=capacity,
            n_threads=n_threads,
        )
        self.x = np.random.default_rng(0).standard_normal((capacity, cols), np.float32)
        self.out = np.empty((capacity, rows), np.float32)

    def graph(self):
        from llama_gguf.graph import Graph, Weight

        rows, cols = self.shape
        graph = Graph(h=None)
        x = graph.emit("input", width=cols, name="x")
        for i in range(self.count):
            tensor = RandomTensor(f"w{i}", self.kind, rows, cols)
            Weight(graph, tensor.name, tensor) @ x
        return graph

    def seconds(self, n_tokens, count):
        """Of the first `count` products, each with `n_tokens` tokens."""
        plan, tasks = self.planned.plan, self.planned.tasks
        wanted = [i for i, task in enumerate(tasks) if task.kind == "matmul"][:count]
        plan.time(True)
        plan.run(n_tokens, 0, 0, self.out, self.x, 0, wanted[-1] + 1)
        return float(plan.time(False)[wanted].sum())


def measure(kind, args, n_threads):
    """{"decode_gb_s", "read_gb_s", "prefill_gflop_s": spreads}; a first round warms up."""
    rows, cols = args.rows, args.cols // kind.block * kind.block
    size = rows * kind.row_bytes(cols)
    count = max(PREFILL_MATRICES, -(-args.megabytes * 10**6 // size))
    products = Products(kind, rows, cols, count, args.tokens, n_threads, not args.no_repack)
    decode = [count * size / products.seconds(1, count) / 1e9 for _ in range(args.rounds + 1)]
    more = bytes_read(kind, rows, cols, not args.no_repack) / size
    work = PREFILL_MATRICES * 2 * rows * cols * args.tokens / 1e9
    prefill = [
        work / products.seconds(args.tokens, PREFILL_MATRICES) for _ in range(args.rounds + 1)
    ]
    return {
        "decode_gb_s": spread(decode[1:]),
        "read_gb_s": spread([rate * more for rate in decode[1:]]),
        "prefill_gflop_s": spread(prefill[1:]),
    }


def path_of(kind):
    """How the engine multiplies a type: 8-bit activations, float ones, or dequantized rows."""
    from llama_gguf.engine.panels import packed_types

    quantized = packed_types().get(kind.id)
    return "dequantized" if quantized is None else "8-bit" if quantized else "float"


def benchmark(args):
    from llama_gguf.gguf.types import TYPES

    kinds = [TYPES[n] for n in args.types] or [t for t in TYPES.values() if "matmul" in t.roles]
    machine, found = Machine(args.threads), []
    for kind in kinds:
        print(f"{kind} ...", file=sys.stderr, flush=True)
        machine.sample()
        speeds = {n: measure(kind, args, n) for n in args.threads}
        told = {"type": kind.name, "bits": kind.bits_per_weight, "activations": path_of(kind)}
        found.append(told | {"threads": speeds})
    return {"machine": description(), "figures": machine.figures(), "types": found}


def table(found):
    """Two tables: the machine, and a row a type."""
    threads = list(found["figures"])
    titles = ["type", "bits", "activations"]
    for what in ("decode, GB/s of file", "of limit", "GB/s of memory", "of limit"):
        titles += [f"{what}, {n}t" for n in threads]
    for what in ("prefill, GFLOP/s", "of FP32 peak"):
        titles += [f"{what}, {n}t" for n in threads]
    figures = [
        (n, spread_text(f["read_gb_s"]), spread_text(f["peak_gflop_s"]))
        for n, f in found["figures"].items()
    ]
    best = markdown(("threads", "reads memory, GB/s", "FP32 FMA peak, GFLOP/s"), figures)
    rows = [row(kind, found["figures"], threads) for kind in found["types"]]
    return f"{best}\n\n{markdown(titles, rows)}"


def row(kind, figures, threads):
    cells = [kind["type"], f"{kind['bits']:.4g}", kind["activations"]]
    for speed, limit in LIMITS.items():
        medians = [kind["threads"][n][speed]["median"] for n in threads]
        tops = [figures[n][limit]["median"] for n in threads]
        cells += map(figure, medians)
        cells += [f"{m / top:.0%}" for m, top in zip(medians, tops, strict=True)]
    return cells


def arguments(argv=None):
    from llama_gguf.engine import default_threads

    threads = tuple(sorted({1, default_threads()}))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--types", type=lambda text: text.split(","), default=[], metavar="A,B", help="all")
    add("-t", "--threads", type=numbers, default=threads, metavar="N[,N]")
    add("-r", "--rounds", type=int, default=5)
    add("--rows", type=int, default=4096)
    add("--cols", type=int, default=4096)
    add("--tokens", type=int, default=256, help="of prefill")
    add("--megabytes", type=int, default=BYTES // 10**6, help="of weights that decode reads")
    add("--no-repack", action="store_true", help="from the file's own layout")
    add("--json", type=Path, metavar="OUT", help="write all figures, - for stdout")
    return parser.parse_args(argv)


def main():
    args = arguments()
    found = benchmark(args)
    publish(found, table(found), args.json)


if __name__ == "__main__":
    main()
