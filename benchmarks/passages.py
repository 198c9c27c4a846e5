"""Error of llama-gguf's and llama.cpp's logits on many passages of a text.

    python benchmarks/passages.py MODEL --peer-python VENV/bin/python --text FILE [--passages 20]

One text says little: an 8-bit code that falls the other way moves every logit behind it. Passages of random place and
length are taken from FILE. The truth is float arithmetic on the dequantized weights (exact=True); llama.cpp keeps its
cache in F32 without flash attention, the most exact it can do, ours is as it runs by default.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import OURS, errors, markdown, publish
from benchmarks.process import Engine

PEER = "llama.cpp"
LENGTHS = 16, 400  # tokens of a passage


def passages(args):
    """Lists of token ids."""
    import numpy as np

    from llama_gguf import Model

    with Model(args.model, repack=False) as model:
        ids = model.tokenize(args.text.read_text(encoding="utf-8"), bos=False)
    rng = np.random.default_rng(args.seed)
    for _ in range(args.passages):
        n = int(rng.integers(*LENGTHS))
        start = int(rng.integers(0, len(ids) - n))
        yield [int(i) for i in ids[start : start + n]]


def logits(name, args, texts, plain, exact=False):
    """One array a passage."""
    import numpy as np

    found = []
    with Engine(name, args.peer_python) as engine, tempfile.TemporaryDirectory() as folder:
        engine.ask("load", path=str(args.model), threads=args.threads, exact=exact)
        for tokens in texts:
            engine.ask("open", n_ctx=max(map(len, texts)), threads=args.threads, plain=plain)
            engine.ask("logits", tokens=tokens, path=f"{folder}/logits.npy")
            found.append(np.load(f"{folder}/logits.npy"))
    return found


def benchmark(args):
    texts = list(passages(args))
    truth = logits(OURS, args, texts, plain=True, exact=True)
    found = {OURS: logits(OURS, args, texts, plain=False), PEER: logits(PEER, args, texts, plain=True)}
    return [
        {"tokens": len(text)} | {name: errors(each[i], truth[i]) for name, each in found.items()}
        | {"same_as_peer": float((found[OURS][i].argmax(1) == found[PEER][i].argmax(1)).mean())}
        for i, text in enumerate(texts)
    ]


def table(found):
    total = sum(p["tokens"] for p in found)

    def row(name):
        nmse = sum(p[name]["nmse"] for p in found) / len(found)
        same = sum(p[name]["same_top"] * p["tokens"] for p in found) / total
        return name, f"{nmse:.2e}", f"{same:.1%}"

    lower = sum(p[OURS]["nmse"] < p[PEER]["nmse"] for p in found)
    both = sum(p["same_as_peer"] * p["tokens"] for p in found) / total
    rows = markdown(("engine", "NMSE, mean of passages", "likeliest token equal to float's"), [row(OURS), row(PEER)])
    return (
        f"{len(found)} passages, {total} positions.\n\n{rows}\n\nOurs is lower on {lower} of {len(found)} passages;"
        f" the likeliest tokens of both engines are equal at {both:.1%} of positions."
    )


def arguments(argv=None):
    from llama_gguf.engine import default_threads
    from llama_gguf.hub import resolve

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", help="a path, or any name that `llama-gguf run` takes")
    add("--peer-python", metavar="PYTHON", required=True, help="one with llama-cpp-python")
    add("--text", type=Path, required=True, help="UTF-8, a few thousand words or more")
    add("--passages", type=int, default=20)
    add("--seed", type=int, default=0)
    add("-t", "--threads", type=int, default=default_threads())
    add("--json", type=Path, metavar="OUT", help="write all figures, - for stdout")
    args = parser.parse_args(argv)
    args.model = resolve(args.model)
    return args


def main():
    args = arguments()
    found = benchmark(args)
    publish(found, table(found), args.json)


if __name__ == "__main__":
    main()
