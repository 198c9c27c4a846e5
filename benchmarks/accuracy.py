"""Error of llama-gguf's and llama.cpp's logits for each file type of one model.

    python benchmarks/accuracy.py MODEL --peer-python VENV/bin/python [--types Q4_K_M,Q8_0]

llama.cpp's own quantizer makes a file of each type from MODEL (best from an F32 or F16 one). The
truth for each file is float arithmetic on its dequantized weights: llama-gguf with exact=True, or
with --reference numpy the same model file in NumPy. Both engines run on the same tokens: as they
are timed (F16 cache, llama.cpp with flash attention), and with an F32 cache (llama.cpp without).
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import OURS, errors, markdown, publish, random_ids
from benchmarks.process import Engine, EngineError

PEER = "llama.cpp"
TYPES = (
    *("F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_1", "Q5_0", "Q4_K_M", "Q4_1", "Q4_0"),
    *("IQ4_NL", "IQ4_XS", "Q3_K_M", "IQ3_M", "IQ3_S", "IQ3_XXS", "Q2_K", "TQ2_0", "TQ1_0"),
    "MXFP4_MOE",
)
TEXT = Path(__file__).parents[1] / "LICENSE"


def logits(name, path, tokens, args, plain=False, exact=False):
    """float32 (n, n_vocab) of one engine in a process of its own."""
    import numpy as np

    n_threads = args.threads
    with Engine(name, args.peer_python, args.verbose) as engine, tempfile.TemporaryDirectory() as d:
        engine.ask("load", path=str(path), threads=n_threads, exact=exact)
        engine.ask("open", n_ctx=len(tokens), threads=n_threads, plain=plain)
        engine.ask("logits", tokens=tokens, path=f"{d}/logits.npy")
        return np.load(f"{d}/logits.npy")


def reference(path, tokens, args):
    """The truth: float activations, an F32 cache."""
    if args.reference == "exact":
        return logits(OURS, path, tokens, args, plain=True, exact=True)
    from llama_gguf import Model
    from llama_gguf.reference import Reference

    with Model(path, repack=False) as model:
        return Reference(model).logits(tokens)


def measure(path, tokens, args):
    """{"F16": {engine: errors}, "F32": ...} of one file."""
    truth = reference(path, tokens, args)
    return {
        cache: {
            name: errors(logits(name, path, tokens, args, plain), truth) for name in (OURS, PEER)
        }
        for cache, plain in (("F16", False), ("F32", True))
    }


def quantized(kind, folder, args):
    """Path of MODEL in the file type `kind`; None where llama.cpp refuses to make one."""
    target = Path(folder) / f"{kind}.gguf"
    with Engine(PEER, args.peer_python, args.verbose) as engine:
        where = {"source": str(args.model), "target": str(target)}
        made = engine.ask("quantize", **where, kind=kind, threads=args.threads)
    return target if made else None


def tokens_of(args):
    """The tokens of a text, or random ones for a vocabulary too small for texts."""
    from llama_gguf import Model

    with Model(args.model, repack=False) as model:
        if args.random:
            return random_ids(args.tokens, model.n_vocab)
        return model.tokenize(args.text.read_text())[: args.tokens]


def benchmark(args):
    """[{"type", "bytes", "F16", "F32"}], or "skipped" with the reason."""
    tokens, found = tokens_of(args), []
    with tempfile.TemporaryDirectory() as folder:
        for kind in args.types:
            print(f"{kind} ...", file=sys.stderr, flush=True)
            found.append({"type": kind} | one_type(kind, tokens, folder, args))
    return found


def one_type(kind, tokens, folder, args):
    try:
        path = quantized(kind, folder, args)
        if path is None:
            return {"skipped": "the quantizer refuses: it wants an importance matrix, or other rows"}
        size = path.stat().st_size
        found = measure(path, tokens, args)
        path.unlink()
        return {"bytes": size, **found}
    except EngineError as error:
        return {"skipped": str(error)}


def table(found):
    titles = ("file type", "MB")
    for cache in ("F16", "F32"):
        titles += (f"ours, {cache}", f"{PEER}, {cache}", f"ours / {PEER}")
    titles += ("KL ours", f"KL {PEER}", "same first, ours", f"same first, {PEER}")
    measured = [kind for kind in found if "skipped" not in kind]
    skipped = [f"{kind['type']}: {kind['skipped']}" for kind in found if "skipped" in kind]
    told = "NMSE of logits with an F16 and an F32 cache; KL and first token with F16."
    return "\n\n".join([told, markdown(titles, [*map(row, measured)]), *skipped])


def row(kind):
    cells = [kind["type"], f"{kind['bytes'] / 1e6:.1f}"]
    for cache in ("F16", "F32"):
        ours, theirs = (kind[cache][name]["nmse"] for name in (OURS, PEER))
        cells += [f"{ours:.2e}", f"{theirs:.2e}", f"{ours / theirs:.2f}" if theirs else "-"]
    both = [kind["F16"][name] for name in (OURS, PEER)]
    return [*cells, *(f"{e['kl']:.2e}" for e in both), *(f"{e['same_top']:.1%}" for e in both)]


def arguments(argv=None):
    from llama_gguf.engine import default_threads

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", help="a path, or any name that `llama-gguf run` takes")
    add("--peer-python", metavar="PYTHON", required=True, help="one with llama-cpp-python")
    add("--types", type=lambda text: text.split(","), default=TYPES, metavar="A,B")
    add("--reference", choices=("exact", "numpy"), default="exact")
    add("--text", type=Path, default=TEXT)
    add("--tokens", type=int, default=128, help="as many tokens of it")
    add("--random", action="store_true", help="random tokens instead (tiny models)")
    add("-t", "--threads", type=int, default=default_threads())
    add("--json", type=Path, metavar="OUT", help="write all figures, - for stdout")
    add("-v", "--verbose", action="store_true", help="show what the engines say")
    args = parser.parse_args(argv)
    from llama_gguf.hub import resolve

    args.model = resolve(args.model)
    return args


def main():
    args = arguments()
    try:
        found = benchmark(args)
    except EngineError as error:
        raise SystemExit(f"Error: {error}") from None
    publish(found, table(found), args.json)


if __name__ == "__main__":
    main()
