"""Error of each tensor type's products through whole tiny models, ours and llama.cpp's.

    python benchmarks/type_errors.py --peer-python VENV/bin/python [--types Q4_K,IQ2_S] [--seeds 8]

For each seed a random llama-shaped model with rows of 256 and 512 columns is made, all its matrices
in one type: the numbers are quantized by the function that llama.cpp's own quantizer calls, under
an importance matrix of ones (some types do not go without). Both engines run these files with an
F32 cache, llama.cpp without flash attention. The truth is the same model file evaluated in NumPy on
the dequantized weights in float64, so what differs is how activations are rounded and sums are
made. One tiny model is noise: the table has means over all seeds, and on how many of them ours was
the lower one.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import contextlib
import tempfile
from pathlib import Path
from statistics import mean

from benchmarks.measure import OURS, errors, markdown, publish, random_ids
from benchmarks.process import Engine, EngineError

PEER = "llama.cpp"
SHAPE = {"width": 256, "ff": 512, "layers": 3, "heads": 4, "kv_heads": 2}


class Tiny:
    """The models of all seeds, and the tokens to run on them."""

    def __init__(self, folder, args):
        from llama_gguf import Model
        from llama_gguf.testing import tiny

        self.folder, self.args = Path(folder), args
        self.sources = [
            tiny(self.folder / f"{seed}.gguf", seed=seed, **SHAPE) for seed in range(args.seeds)
        ]
        with Model(self.sources[0], repack=False) as model:
            self.tokens = random_ids(args.tokens, model.n_vocab)

    def quantized(self, kind, seed, peer):
        """Path of one seed's model with every matrix in `kind`."""
        from llama_gguf.gguf import GGUFFile
        from llama_gguf.testing import tiny

        with GGUFFile(self.sources[seed]) as file:
            matrices = [t for t in file.tensors.values() if len(t.shape) == 2]
            made = {t.name: (kind.name, t.shape, self.rows(t, kind, peer)) for t in matrices}
        return tiny(self.folder / f"{seed}-{kind}.gguf", seed=seed, tensors=made, **SHAPE)

    def rows(self, tensor, kind, peer):
        """uint8 (rows, row_bytes) of an F32 matrix in another type."""
        import numpy as np

        where = {name: str(self.folder / f"{name}.npy") for name in ("source", "target")}
        np.save(where["source"], tensor.numpy())
        row_bytes = kind.row_bytes(tensor.shape[1])
        peer.ask("quantize_rows", **where, type_id=kind.id, row_bytes=row_bytes)
        return np.load(where["target"])

    def logits(self, engine, path):
        """float32 (tokens, n_vocab)"""
        import numpy as np

        n_threads, target = self.args.threads, self.folder / "logits.npy"
        engine.ask("load", path=str(path), threads=n_threads)
        engine.ask("open", n_ctx=len(self.tokens), threads=n_threads, plain=True)
        engine.ask("logits", tokens=self.tokens, path=str(target))
        return np.load(target)

    def truth(self, path):
        import numpy as np

        from llama_gguf import Model
        from llama_gguf.reference import Reference

        class Wide(Reference):
            """In float64 throughout: what meets a float64 number becomes one."""

            def number(self, tensor):
                return super().number(tensor).astype(np.float64)

        with Model(path, repack=False) as model:
            return Wide(model).logits(self.tokens)


def measure(kind, models, args):
    """{engine: errors of each seed} of one tensor type."""
    found = {OURS: [], PEER: []}
    with contextlib.ExitStack() as stack:
        python = args.peer_python
        ours, peer = (
            stack.enter_context(Engine(name, python, args.verbose)) for name in (OURS, PEER)
        )
        for seed in range(args.seeds):
            path = models.quantized(kind, seed, peer)
            truth = models.truth(path)
            for engine in (ours, peer):
                found[engine.name].append(errors(models.logits(engine, path), truth))
            path.unlink()
    return found


def benchmark(args):
    """[{"type", "bits", "activations", engine: errors of each seed}], or "skipped" with why."""
    from benchmarks.types import path_of
    from llama_gguf.gguf.types import TYPES

    kinds = [TYPES[n] for n in args.types] or [t for t in TYPES.values() if "matmul" in t.roles]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        models = Tiny(folder, args)
        for kind in kinds:
            print(f"{kind} ...", file=sys.stderr, flush=True)
            told = {"type": kind.name, "bits": kind.bits_per_weight, "activations": path_of(kind)}
            try:
                found.append(told | measure(kind, models, args))
            except EngineError as error:
                found.append(told | {"skipped": str(error)})
    return found


def table(found):
    titles = ("type", "bits", "our activations", "NMSE ours", f"NMSE {PEER}", f"ours / {PEER}")
    titles += ("ours lower", "KL ours", f"KL {PEER}")
    measured = [row(kind) for kind in found if "skipped" not in kind]
    skipped = [f"{kind['type']}: {kind['skipped']}" for kind in found if "skipped" in kind]
    return "\n\n".join([markdown(titles, measured), *skipped])


def row(kind):
    seeds = list(zip(kind[OURS], kind[PEER], strict=True))
    ours, theirs = (mean(e["nmse"] for e in kind[name]) for name in (OURS, PEER))
    lower = sum(a["nmse"] <= b["nmse"] for a, b in seeds)
    cells = [kind["type"], f"{kind['bits']:.4g}", kind["activations"]]
    cells += [f"{ours:.2e}", f"{theirs:.2e}", f"{ours / theirs:.2f}" if theirs else "-"]
    cells += [f"{lower} of {len(seeds)}"]
    return [*cells, *(f"{mean(e['kl'] for e in kind[name]):.1e}" for name in (OURS, PEER))]


def arguments(argv=None):
    from llama_gguf.engine import default_threads

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--peer-python", metavar="PYTHON", required=True, help="one with llama-cpp-python")
    add("--types", type=lambda text: text.split(","), default=[], metavar="A,B", help="all")
    add("--seeds", type=int, default=8)
    add("--tokens", type=int, default=64)
    add("-t", "--threads", type=int, default=default_threads())
    add("--json", type=Path, metavar="OUT", help="write all figures, - for stdout")
    add("-v", "--verbose", action="store_true", help="show what the engines say")
    return parser.parse_args(argv)


def main():
    args = arguments()
    found = benchmark(args)
    publish(found, table(found), args.json)


if __name__ == "__main__":
    main()
