"""Greedy texts of a model in each file type, ours beside llama.cpp's.

    python benchmarks/texts.py [MODEL] --peer-python VENV/bin/python [--types Q4_K_M,Q8_0] [-n 32]

MODEL (default: smollm2) is written as F32, and llama.cpp's own quantizer makes a file of each type
from that. Both engines continue the same prompts, token by token, with their default settings.
Where texts part, the table has the token at which they do, by how much each engine prefers its own
candidate to the other's there, which of them float activations (`exact=True`) prefer and by how
much, and three errors: that of each engine against float activations, and that of the type, float
activations on this file against those on the F32 file. Errors are those of a difference of two
logits: sqrt(2) times the root of the mean squared difference, a shift of all logits taken out.
`--types "as it is"` takes MODEL itself.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import tempfile
from pathlib import Path
from statistics import mean

from benchmarks.measure import OURS, figure, markdown, publish
from benchmarks.process import Engine, EngineError

PEER = "llama.cpp"
TYPES = (
    *("F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S"),
    *("Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS", "Q3_K_L", "Q3_K_M", "Q3_K_S", "IQ3_M", "IQ3_S", "IQ3_XS"),
    *("IQ3_XXS", "Q2_K"),
)
PROMPTS = (
    "The capital of France is",
    "Once upon a time, in a small village by the sea,",
    "def fibonacci(n):\n",
    "Water boils at a lower temperature in the mountains because",
    "A list of three healthy breakfasts:\n1.",
    "The three laws of motion say that",
    "Dear Sir or Madam,\nI am writing to",
    "SELECT name, price FROM products WHERE",
    "Die Hauptstadt von Deutschland ist",
    "To be or not to be,",
)
AS_IT_IS = "as it is"


def continuation(engine, path, prompts, args):
    """[(tokens, float32 logits (n, n_vocab))] behind each of the tokenized prompts."""
    import numpy as np

    n_ctx = max(map(len, prompts)) + args.count
    engine.ask("load", path=str(path), threads=args.threads)
    engine.ask("open", n_ctx=n_ctx, threads=args.threads)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for prompt in prompts:
            where = f"{folder}/logits.npy"
            tokens = engine.ask("greedy", prompt=prompt, count=args.count, path=where)
            found.append((tokens, np.load(where)))
    return found


def exact_logits(path, contexts, args):
    """Logits behind each of some token lists with float activations: [float32 (n_vocab,)]."""
    import numpy as np

    found = []
    with Engine(OURS, verbose=args.verbose) as engine, tempfile.TemporaryDirectory() as folder:
        engine.ask("load", path=str(path), threads=args.threads, exact=True)
        for tokens in contexts:
            engine.ask("open", n_ctx=len(tokens), threads=args.threads, plain=True)
            engine.ask("logits", tokens=tokens, path=f"{folder}/logits.npy")
            found.append(np.load(f"{folder}/logits.npy")[-1])
    return found


def compare(path, source, prompts, args):
    """For each prompt None where the texts are equal, else what is known of the first difference."""
    with Engine(OURS, verbose=args.verbose) as engine:
        ours = continuation(engine, path, prompts, args)
    with Engine(PEER, args.peer_python, args.verbose) as engine:
        theirs = continuation(engine, path, prompts, args)
    found, contexts = [None] * len(prompts), {}
    for i, ((a, _), (b, _)) in enumerate(zip(ours, theirs, strict=True)):
        at = first_difference(a, b)
        if at is not None:
            found[i], contexts[i] = {"position": at}, prompts[i] + a[:at]
    if contexts:
        truths = exact_logits(path, contexts.values(), args)
        originals = exact_logits(source, contexts.values(), args)
        for i, truth, original in zip(contexts, truths, originals, strict=True):
            at = found[i]["position"]
            (a, a_rows), (b, b_rows) = ours[i], theirs[i]
            found[i] |= parting(a[at], b[at], a_rows[at], b_rows[at], truth)
            found[i]["errors"]["type"] = pair_error(truth, original)
    return found


def first_difference(a, b):
    """Index of the first tokens that differ, None if all are equal."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), None)


def parting(our_token, their_token, ours, theirs, truth):
    """Margins of our token over theirs in all three, and the errors of both engines.

    Ours is positive, llama.cpp's negative, and the truth's sign says who agrees with it.
    """
    margins = {
        name: float(row[our_token]) - float(row[their_token])
        for name, row in ((OURS, ours), (PEER, theirs), ("exact", truth))
    }
    made = {name: pair_error(row, truth) for name, row in ((OURS, ours), (PEER, theirs))}
    return {"margins": margins, "errors": made}


def pair_error(row, truth):
    """How far the difference of any two logits is from the truth: root mean square."""
    import numpy as np

    return float(np.sqrt(2) * np.std(np.asarray(row, np.float64) - truth))


def quantized(kind, source, folder, args):
    """Path of the model in the file type `kind`; EngineError where llama.cpp refuses."""
    target = Path(folder) / f"{kind}.gguf"
    with Engine(PEER, args.peer_python, args.verbose) as engine:
        where = {"source": str(source), "target": str(target)}
        if not engine.ask("quantize", **where, kind=kind, threads=args.threads):
            raise EngineError("refused by llama.cpp's quantizer without an importance matrix")
    return target


def tensor_types(path):
    """`Q5_0 x 120, ...` of the matrices: rows of 576 columns are no multiples of 256."""
    from collections import Counter

    from llama_gguf.gguf import GGUFFile

    with GGUFFile(path) as file:
        counts = Counter(t.type.name for t in file.tensors.values() if len(t.shape) == 2)
    return ", ".join(f"{n} {kind}" for kind, n in counts.most_common())


def benchmark(args):
    """[{"type", "tensors", "prompts": [None or a difference]}], or "skipped" with the reason."""
    from llama_gguf import Model

    with Model(args.model, repack=False) as model:
        prompts = [list(model.tokenize(text)) for text in PROMPTS[: args.prompts]]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        source = quantized("F32", args.model, folder, args).rename(Path(folder) / "source.gguf")
        for kind in args.types:
            print(f"{kind} ...", file=sys.stderr, flush=True)
            found.append({"type": kind} | one_type(kind, source, folder, prompts, args))
    return found


def one_type(kind, source, folder, prompts, args):
    try:
        given = {"F32": source, AS_IT_IS: args.model}
        path = given.get(kind) or quantized(kind, source, folder, args)
        told = {"tensors": tensor_types(path), "prompts": compare(path, source, prompts, args)}
        if kind not in given:
            path.unlink()
        return told
    except EngineError as error:
        return {"skipped": str(error)}


def table(found, count):
    """A row a file type, then a row for each text that differs."""
    measured = [kind for kind in found if "skipped" not in kind]
    titles = ("file type", f"equal texts of {count}", "float agrees with ours")
    titles += ("differ within the type's error",)
    titles += ("mean error, ours", f"mean error, {PEER}", "mean error of the type", "matrices")
    first = markdown(titles, [type_row(kind) for kind in measured])
    titles = ("text that differs", "token", "margin, ours", f"margin, {PEER}", "margin, exact")
    titles += ("error, ours", f"error, {PEER}", "error of the type")
    second = [
        difference_row(f"{kind['type']}, prompt {i + 1}", prompt)
        for kind in measured
        for i, prompt in enumerate(kind["prompts"])
        if prompt
    ]
    skipped = [f"{kind['type']}: {kind['skipped']}" for kind in found if "skipped" in kind]
    return "\n\n".join([first, *([markdown(titles, second)] if second else []), *skipped])


def type_row(kind):
    """Means are over the places where texts part; a text differs within the type's error if the
    exact margin is smaller than that."""
    parted = [prompt for prompt in kind["prompts"] if prompt]
    ours = sum(p["margins"]["exact"] > 0 for p in parted)
    within = sum(abs(p["margins"]["exact"]) < p["errors"]["type"] for p in parted)
    cells = [kind["type"], f"{len(kind['prompts']) - len(parted)} of {len(kind['prompts'])}"]
    cells += [f"{n} of {len(parted)}" if parted else "-" for n in (ours, within)]
    for name in (OURS, PEER, "type"):
        cells.append(figure(mean(p["errors"][name] for p in parted)) if parted else "-")
    return [*cells, kind["tensors"]]


def difference_row(label, found):
    """The exact margin is told with the engine that it agrees with."""
    ours, theirs, exact = (found["margins"][name] for name in (OURS, PEER, "exact"))
    exact = f"{figure(abs(exact))} for {'ours' if exact > 0 else PEER}"
    errors = [figure(found["errors"][name]) for name in (OURS, PEER, "type")]
    return [label, found["position"], figure(ours), figure(-theirs), exact, *errors]


def arguments(argv=None):
    from llama_gguf.engine import default_threads

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", nargs="?", default="smollm2", help="a path, or a name (default: smollm2)")
    add("--peer-python", metavar="PYTHON", required=True, help="one with llama-cpp-python")
    add("--types", type=lambda text: text.split(","), default=TYPES, metavar="A,B")
    add("--prompts", type=int, default=5, help=f"as many of the {len(PROMPTS)}")
    add("-n", "--count", type=int, default=32, metavar="TOKENS")
    add("-t", "--threads", type=int, default=default_threads())
    add("--json", type=Path, metavar="OUT", help="write all figures, - for stdout")
    add("-v", "--verbose", action="store_true", help="show what the engines say")
    args = parser.parse_args(argv)
    from llama_gguf.hub import resolve

    args.model = Path(resolve(args.model))
    return args


def main():
    args = arguments()
    try:
        found = benchmark(args)
    except EngineError as error:
        raise SystemExit(f"Error: {error}") from None
    publish(found, table(found, args.count), args.json)


if __name__ == "__main__":
    main()
