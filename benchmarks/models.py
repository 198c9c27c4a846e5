"""Error of every family's logits: against transformers and llama.cpp, and of quantized files beside llama.cpp's.

    python benchmarks/models.py --peer-python VENV/bin/python [--goldens FOLDER] [--names a,b] [--write]

Each golden is a tiny model with the logits that transformers and llama.cpp gave for it. Three questions:

* float arithmetic (exact=True) against both, as the file is;
* with every matrix in Q8_0, or in Q4_K where rows are whole blocks of 256: our packed kernels and
  llama.cpp, both with an F32 cache, against the same model file in NumPy on the dequantized weights.
  Numbers are quantized by the function that llama.cpp's quantizer calls.

--write keeps the figures in tests/data/models.json, from which docs/models.md is made.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.measure import OURS, errors, markdown, publish
from benchmarks.process import Engine, EngineError

PEER = "llama.cpp"
TESTS = Path(__file__).parents[1] / "tests/data"
TYPES = ("Q8_0", "Q4_K")
LOOKED_UP = ("token_embd.weight", "position_embd.weight", "token_types.weight")
PLAIN = ("norm", ".bias", "ssm_conv1d", "ssm_a", "ssm_d", "shortconv.conv", "ffn_gate_inp")  # F32 in all files


def nmse(found, truth):
    return errors(found, truth)["nmse"]


def exact(path, golden):
    """{"arch", "transformers", "llama_cpp"}: NMSE of float arithmetic against each that the golden has."""
    from llama_gguf import Model

    with Model(path, exact=True) as model:
        logits = model.logits(golden["tokens"].tolist())
        told = {k: nmse(logits, golden[k]) for k in ("transformers", "llama_cpp") if k in golden}
        return {"arch": model.metadata.arch} | told


def requantized(path, kind, target, peer):
    """Write a copy with every matrix in `kind`; how many there are. Rows that are no whole blocks stay as they are."""
    from llama_gguf.gguf import GGUFFile, write_gguf

    with GGUFFile(path) as file:
        turned = [t for t in file.tensors.values() if may_turn(t, kind)]
        made = {t.name: rows(t, kind, peer, target.parent) for t in turned}
        tensors = [
            (t.name, kind.name, t.shape, made[t.name]) if t.name in made else (t.name, t.type.name, t.shape, t)
            for t in file.tensors.values()
        ]
        write_gguf(target, file.metadata, tensors, force=True)
    return len(turned)


def may_turn(tensor, kind):
    if len(tensor.shape) < 2 or tensor.name in LOOKED_UP[1:] or any(word in tensor.name for word in PLAIN):
        return False
    return tensor.shape[-1] % kind.block == 0 and tensor.type.name in ("F32", "F16", "BF16")


def rows(tensor, kind, peer, folder):
    """The bytes of a matrix, or of a stack of them, in another type."""
    import numpy as np

    where = {name: str(folder / f"{name}.npy") for name in ("source", "target")}
    np.save(where["source"], tensor.numpy().reshape(-1, tensor.shape[-1]))
    peer.ask("quantize_rows", **where, type_id=kind.id, row_bytes=kind.row_bytes(tensor.shape[-1]))
    return np.load(where["target"])


def quantized(path, tokens, kind, folder, engines, args):
    """{"ours", "llama_cpp"}: NMSE of both on one requantized file, or {} where nothing can be in that type."""
    import numpy as np

    from llama_gguf import Model
    from llama_gguf.reference import Reference

    target = folder / f"{kind}.gguf"
    if not requantized(path, kind, target, engines[PEER]):
        return {}
    with Model(target, repack=False) as model:
        truth = Reference(model).logits(tokens)
    told = {}
    for name, engine in engines.items():
        engine.ask("load", path=str(target), threads=args.threads)
        engine.ask("open", n_ctx=len(tokens), threads=args.threads, plain=True)
        engine.ask("logits", tokens=tokens, path=str(folder / "logits.npy"))
        told[name] = nmse(np.load(folder / "logits.npy"), truth)
    return {"ours": told[OURS], "llama_cpp": told[PEER]}


def one(name, args):
    import numpy as np

    from llama_gguf.errors import ModelError
    from llama_gguf.gguf.types import TYPES as KINDS

    print(f"{name} ...", file=sys.stderr, flush=True)
    folder = args.goldens / name
    golden = dict(np.load(folder / "golden.npz"))
    told = exact(folder / "model.gguf", golden)
    with tempfile.TemporaryDirectory() as room:
        for kind in TYPES:
            try:
                with Engine(OURS, args.peer_python, args.verbose) as ours, Engine(
                    PEER, args.peer_python, args.verbose
                ) as peer:
                    engines = {OURS: ours, PEER: peer}
                    tokens = golden["tokens"].tolist()
                    path = folder / "model.gguf"
                    told[kind] = quantized(path, tokens, KINDS[kind], Path(room), engines, args)
            except (EngineError, ModelError) as error:
                told[kind] = {"skipped": str(error).splitlines()[-1]}
    return told


def benchmark(args):
    import numpy as np

    found = sorted(args.goldens.glob("*/golden.npz"))
    names = args.names or [p.parent.name for p in found if "tokens" in np.load(p)]  # encoders have texts instead
    return {name: one(name, args) for name in names}


def table(found):
    titles = ["golden", "transformers", PEER]
    titles += [f"{kind} {who}" for kind in TYPES for who in ("ours", PEER, "ratio")]
    return markdown(titles, [row(name, told) for name, told in found.items()])


def row(name, told):
    cells = [name, *(f"{told[k]:.1e}" if k in told else "-" for k in ("transformers", "llama_cpp"))]
    for kind in TYPES:
        both = [told.get(kind, {}).get(k) for k in ("ours", "llama_cpp")]
        cells += ["-"] * 3 if None in both else [*(f"{x:.1e}" for x in both), f"{both[0] / both[1]:.2f}"]
    return cells


def arguments(argv=None):
    from llama_gguf.engine import default_threads

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--peer-python", metavar="PYTHON", required=True, help="one with llama-cpp-python")
    add("--goldens", type=Path, default=TESTS / "goldens", metavar="FOLDER")
    add("--names", type=lambda text: text.split(","), default=[], metavar="A,B", help="all")
    add("-t", "--threads", type=int, default=default_threads())
    add("--write", action="store_true", help="keep the figures in tests/data/models.json")
    add("--json", type=Path, metavar="OUT", help="write all figures, - for stdout")
    add("-v", "--verbose", action="store_true", help="show what the engines say")
    return parser.parse_args(argv)


def main():
    args = arguments()
    found = benchmark(args)
    if args.write:
        path = TESTS / "models.json"
        kept = (json.loads(path.read_text()) if path.exists() else {}) | found
        path.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
    publish(found, table(found), args.json)


if __name__ == "__main__":
    main()
