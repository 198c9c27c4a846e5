"""Whole models of each tensor type, ours beside llama.cpp: tokens/s of a prompt and of decoding.

    python benchmarks/type_speeds.py --peer-python VENV/bin/python [--types Q4_K,IQ2_S] [-t 1,2]

For each type a llama-shaped model is written whose layers are those of a model of some 3B (width
2048, inner width 8192) and all matrices of that type, random codes in them; as many layers as make
a file of --megabytes. Both engines run it in turns, as in peers.py, with their default settings.

Take enough megabytes for ten layers: llama.cpp computes most of the last layer for the last token only.
On a machine that others use as well, `-t 1 --cpu-time` is steadier than the clock.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import contextlib
import tempfile
from pathlib import Path

from benchmarks.machine import Machine, description
from benchmarks.measure import OURS, markdown, numbers, publish, spread_text
from benchmarks.peers import Case, run_case
from benchmarks.process import Engine

PEER = "llama.cpp"
SHAPE = {"width": 2048, "ff": 8192, "heads": 16, "kv_heads": 4, "context": 4096}
MOST_LAYERS = 16


def write_model(folder, kind, megabytes):
    """Path of a model whose layers all have the bytes of one: random ones are slow to make."""
    from llama_gguf.gguf import GGUFFile, write_gguf
    from llama_gguf.testing import tiny

    one, path = Path(folder) / "one.gguf", Path(folder) / f"{kind}.gguf"
    tiny(one, type=kind.name, layers=1, **SHAPE)
    with GGUFFile(one) as file:
        size = sum(t.n_bytes for name, t in file.tensors.items() if name.startswith("blk."))
        layers = min(max(2, round(megabytes * 1e6 / size)), MOST_LAYERS)
        metadata = dict(file.metadata) | {"llama.block_count": layers}
        tensors = []
        for name, t in file.tensors.items():
            copies = range(layers) if name.startswith("blk.0.") else [0]
            names = [name.replace("blk.0.", f"blk.{i}.") for i in copies]
            tensors += [(each, t.type.name, t.shape, t.raw) for each in names]
        write_gguf(path, metadata, tensors)
    one.unlink()
    return path


def measure(path, args, machine):
    """[result of peers.run_case for each number of threads and rate]"""
    with contextlib.ExitStack() as stack:
        engines = [
            stack.enter_context(Engine(name, args.peer_python, args.verbose))
            for name in (OURS, PEER)
        ]
        load = {"path": str(path), "threads": max(args.threads)}
        n_vocab = min(engine.load(**load)["n_vocab"] for engine in engines)
        cases = [Case(n, args.prompt, args.decode, cpu_time=args.cpu_time) for n in args.threads]
        return [
            result
            for case in cases
            for result in run_case(case, engines, n_vocab, args.rounds, machine)
        ]


def benchmark(args):
    from benchmarks.types import path_of
    from llama_gguf.gguf.types import TYPES

    kinds = [TYPES[n] for n in args.types] or [t for t in TYPES.values() if "matmul" in t.roles]
    machine, found = Machine(args.threads), []
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            print(f"{kind} ...", file=sys.stderr, flush=True)
            path = write_model(folder, kind, args.megabytes)
            told = {"type": kind.name, "bits": kind.bits_per_weight, "activations": path_of(kind)}
            told["bytes"] = path.stat().st_size
            found.append(told | {"rates": measure(path, args, machine)})
            path.unlink()
    return {"machine": description(), "figures": machine.figures(), "types": found}


def table(found):
    """A row for each type, rate and number of threads."""
    titles = ("type", "bits", "tokens/s", OURS, PEER, f"/ {PEER}")
    rows = [row(kind, result) for kind in found["types"] for result in kind["rates"]]
    return markdown(titles, rows)


def row(kind, result):
    n = result["case"]["threads"]
    cells = [kind["type"], f"{kind['bits']:.4g}", f"{result['name']}, {n} thread{'s' * (n > 1)}"]
    told = [result["engines"].get(name) for name in (OURS, PEER)]
    told.append(result["ratios"].get(PEER))
    return [*cells, *(spread_text(spread) if spread else "failed" for spread in told)]


def arguments(argv=None):
    from llama_gguf.engine import default_threads

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--peer-python", metavar="PYTHON", required=True, help="one with llama-cpp-python")
    add("--types", type=lambda text: text.split(","), default=[], metavar="A,B", help="all")
    add("-t", "--threads", type=numbers, default=(default_threads(),), metavar="N[,N]")
    add("-r", "--rounds", type=int, default=3)
    add("-p", "--prompt", type=int, default=256, metavar="TOKENS")
    add("-n", "--decode", type=int, default=16, metavar="TOKENS")
    add("--cpu-time", action="store_true", help="seconds of the processor: with -t 1, while others use the machine")
    add("--megabytes", type=int, default=360, help="of a model")
    add("--json", type=Path, metavar="OUT", help="write all figures, - for stdout")
    add("-v", "--verbose", action="store_true", help="show what the engines say")
    return parser.parse_args(argv)


def main():
    args = arguments()
    found = benchmark(args)
    publish(found, table(found), args.json)


if __name__ == "__main__":
    main()
