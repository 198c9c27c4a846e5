"""Types of the KV cache: error of the logits and speed of decoding, beside llama.cpp's with the same type.

    python benchmarks/kv.py MODEL --peer-python VENV/bin/python [--types F16,Q8_0] [--depth 4096]

The truth is float arithmetic on the file's own weights with an F32 cache (llama-gguf, exact=True).
Errors are told of the file as it is, and of its weights as F32 (a file that llama.cpp makes), which
both engines multiply in floats: what is left there is the error of the cache alone. llama.cpp uses
flash attention, which quantized values need, but for F32, which it would make F16. Speed is
measured in rounds that take turns, as by peers.py: decoding behind --depth tokens.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import contextlib
import tempfile
from pathlib import Path

from benchmarks.machine import Machine
from benchmarks.measure import OURS, errors, figure, markdown, publish, spread_text
from benchmarks.peers import TEXT, Case, run_case
from benchmarks.process import Engine, EngineError

PEER = "llama.cpp"
TYPES = ("F32", "F16", "Q8_0", "Q4_0")


class CacheEngine(Engine):
    """An engine whose contexts have caches of one type; its name tells which."""

    def __init__(self, name, kv_type, args):
        super().__init__(name, args.peer_python, args.verbose)
        self.name, self.engine, self.kv_type = f"{name} {kv_type}", name, kv_type

    def ask(self, do, **arguments):
        if do == "open":
            arguments.setdefault("kv_type", self.kv_type)
        return super().ask(do, **arguments)


def names(args):
    return [OURS, PEER] if args.peer_python else [OURS]


def logits(engine, tokens, folder, args, **how):
    import numpy as np

    path = tempfile.mktemp(".npy", dir=folder)
    engine.ask("open", n_ctx=len(tokens), threads=args.threads, **how)
    engine.ask("logits", tokens=tokens, path=path)
    return np.load(path, mmap_mode="r")


def truth(tokens, folder, args):
    with Engine(OURS, verbose=args.verbose) as exact:
        exact.ask("load", path=args.model, threads=args.threads, exact=True)
        return logits(exact, tokens, folder, args, plain=True)


def run_accuracy(tokens, args):
    """[{"engine", "kv_type", "file": errors, "float": errors with F32 weights}]"""
    with tempfile.TemporaryDirectory() as folder:
        paths = {"file": args.model} | ({"float": floats(folder, args)} if args.peer_python else {})
        reference = truth(tokens, folder, args)
        found = []
        for name in names(args):
            for kv_type in args.types:
                found.append({"engine": name, "kv_type": kv_type})
                for weights, path in paths.items():
                    with CacheEngine(name, kv_type, args) as engine:
                        engine.load(path=path, threads=args.threads)
                        made = logits(engine, tokens, folder, args, plain=kv_type == "F32")
                    found[-1][weights] = errors(made, reference)
        return found


def floats(folder, args):
    """Path of the model with F32 weights."""
    target = f"{folder}/F32.gguf"
    with Engine(PEER, args.peer_python, args.verbose) as engine:
        where = {"source": args.model, "target": target}
        if not engine.ask("quantize", **where, kind="F32", threads=args.threads):
            raise EngineError(f"{PEER} makes no F32 file of {args.model}")
    return target


def run_speed(args):
    """The results of run_case for decoding at each depth, one engine process for each type."""
    found, machine = [], Machine((args.threads,))
    with contextlib.ExitStack() as stack:
        engines = [
            stack.enter_context(CacheEngine(name, kv_type, args))
            for kv_type in args.types
            for name in names(args)
        ]
        load = {"path": args.model, "threads": args.threads}
        n_vocab = min(engine.load(**load)["n_vocab"] for engine in engines)
        for depth in args.depth:
            print(f"decode at {depth} ...", file=sys.stderr, flush=True)
            case = Case(args.threads, depth, args.decode, deep=True)
            found += run_case(case, engines, n_vocab, args.rounds, machine)
    return [result for result in found if result["rate"] == "decode"]


def benchmark(args):
    from llama_gguf import Model

    with Model(args.model, vocab_only=True) as model:
        tokens = model.tokenize(args.text.read_text())[: args.tokens]
    return {
        "model": Path(args.model).name,
        "tokens": len(tokens),
        "accuracy": run_accuracy(tokens, args) if args.accuracy else [],
        "speed": run_speed(args) if args.depth else [],
    }


def tables(found):
    shown = [accuracy_table(found["accuracy"]), speed_table(found["speed"])]
    return "\n\n".join(table for table in shown if table)


def accuracy_table(found):
    if not found:
        return ""
    titles = ("cache", "NMSE", "KL, nats", "same first")
    titles += ("F32 weights: NMSE", "KL, nats", "same first")
    rows = [
        (f"{a['engine']}, {a['kv_type']}", *cells(a["file"]), *cells(a.get("float"))) for a in found
    ]
    return markdown(titles, rows)


def cells(error):
    if not error:
        return ("-",) * 3
    return f"{error['nmse']:.2e}", f"{error['kl']:.2e}", f"{error['same_top']:.1%}"


def speed_table(found):
    """Tokens per second, and how many times that of F16 in the same engine it is."""
    rows = []
    for result in found:
        rates = result["engines"]
        for label, rate in rates.items():
            plain = rates.get(f"{label.split()[0]} F16")
            times = figure(rate["median"] / plain["median"]) if plain else "-"
            rows.append((f"{result['name']}, {label}", spread_text(rate), times))
        rows += [(f"{result['name']}, {label}", "failed", "-") for label in result["failed"]]
    return markdown(("tokens/s: median (low..high)", "rate", "/ F16"), rows) if rows else ""


def arguments(argv=None):
    from llama_gguf.engine import default_threads

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", help="a path, or any name that `llama-gguf run` takes")
    add("--peer-python", metavar="PYTHON", help="one with llama-cpp-python")
    add("--types", type=lambda text: text.split(","), default=TYPES, metavar="A,B")
    add("--no-accuracy", dest="accuracy", action="store_false", help="no errors of logits")
    add("--text", type=Path, default=TEXT, help="what accuracy is measured on")
    add("--tokens", type=int, default=512, help="as many tokens of it")
    add("--depth", type=int, nargs="*", default=(4096,), help="decode behind so many tokens")
    add("-n", "--decode", type=int, default=64, metavar="TOKENS")
    add("-r", "--rounds", type=int, default=5)
    add("-t", "--threads", type=int, default=default_threads())
    add("--json", type=Path, metavar="OUT", help="write all figures, - for stdout")
    add("-v", "--verbose", action="store_true", help="show what the engines say")
    args = parser.parse_args(argv)
    from llama_gguf.hub import resolve

    args.model = str(resolve(args.model))
    return args


def main():
    args = arguments()
    try:
        found = benchmark(args)
    except EngineError as error:
        raise SystemExit(f"Error: {error}") from None
    publish(found, tables(found), args.json)


if __name__ == "__main__":
    main()
