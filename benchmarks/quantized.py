"""Whole files by file type, ours beside llama.cpp's with the same importance matrix: size, KL, perplexity, time, memory

    python benchmarks/quantized.py SOURCE --imatrix I.gguf --text T.txt --peer-python VENV/bin/python
        [--types Q4_K_M,...] [--measure kl,time] [--chunks 6] [--json OUT]

KL divergence and perplexity are those of our engine on both files, against SOURCE, over windows of 512 tokens; the text
should not be the one the matrix was made of. Errors are those of the mean over windows, and of a difference those of
the differences: both files read the same windows. With --json what is done already is kept, so that an interrupted run
goes on. Times are of one run each, on all cores: let nothing else run. `seconds` are those of quantizing,
`process_seconds` those of the program from start to end, `cpu_seconds` what all its threads worked.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import OURS, markdown
from llama_gguf import Model
from llama_gguf.evaluate import base_file
from llama_gguf.evaluate.rows import mean_and_error
from llama_gguf.quantize import FILE_TYPES, Imatrix

HERE = Path(__file__).parent
PEER = "llama.cpp"
MAKE = """
import json, sys, time
from llama_gguf.quantize import Imatrix, quantize_file
source, out, name, matrix, threads = sys.argv[1:]
matrix = Imatrix.load(matrix) if matrix else None
began = time.perf_counter()
quantize_file(source, out, name, matrix, force=True, n_threads=int(threads))
told = {"code": 0, "seconds": time.perf_counter() - began}
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps(told | {"peak_bytes": 1024 * int(peak.split()[1])}))
"""
TYPES = (
    "F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 MXFP4_MOE TQ2_0 TQ1_0 IQ4_NL IQ4_XS Q3_K_L"
    " Q3_K_M Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS IQ2_XXS IQ1_M IQ1_S"
)
N_CTX = 512


def write_weights(source, matrix, path):
    """The importance of each tensor, for the peer."""
    with Model(source, vocab_only=True) as model:
        found = {t.name: matrix.weights(t.name, t.shape) for t in model.tensors.values()}
    np.savez(path, **{name: w for name, w in found.items() if w is not None})


def run(command):
    """What a process prints as its last line of JSON, with its times from start to end, or None where it fails."""
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds, after = time.perf_counter() - began, os.times()
    if done.returncode or not done.stdout:
        return None
    cpu = sum(after[2:4]) - sum(before[2:4])
    return json.loads(done.stdout.splitlines()[-1]) | {"process_seconds": seconds, "cpu_seconds": cpu}


def write_base(source, text, chunks, path, threads):
    """What the source thinks of the text, once for all files."""
    with Model(source, n_threads=threads) as model:
        for done, total in base_file.write(model, text, path, n_ctx=N_CTX, chunks=chunks, force=True):
            print(f"\rbase {done}/{total}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def quality(path, base, chunks, threads):
    """KL of a file against the base and its perplexity, with the mean KL of each window."""
    with Model(path, n_threads=threads) as model:
        *_, found = base_file.stream(model, base, chunks)
    told = found.to_dict()
    kls, surprises = (x.reshape(found.chunks, -1).mean(1).tolist() for x in (found.kls, found.surprises))
    return {key: told[key] for key in ("perplexity", "base_perplexity", "same_top", "tokens")} | {
        "kl": list(mean_and_error(kls)), "kls": kls, "surprises": surprises}


def table(results):
    """Markdown: a row for each file type."""
    titles = ("file type", "MB", "KL ours", f"KL {PEER}", "ours less theirs", "perplexity ours", PEER,
              "log of their ratio")
    return markdown(titles, [row(name, both.get(OURS) or {}, both.get(PEER) or {}) for name, both in results.items()])


def row(name, ours, theirs):
    both = "kls" in ours and "kls" in theirs
    less, ratio = (pair(mean_and_error(np.subtract(ours[key], theirs[key])), "+.4f") if both else "-"
                   for key in ("kls", "surprises"))
    kls = (pair(side["kl"]) if "kl" in side else "-" for side in (ours, theirs))
    perplexities = (f"{side['perplexity'][0]:.2f}" if "kl" in side else "-" for side in (ours, theirs))
    return name, f"{ours['bytes'] / 1e6:.1f}" if ours else "-", *kls, less, *perplexities, ratio


def pair(value, format=".4f"):
    return f"{value[0]:{format}} ± {value[1]:.4f}"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--imatrix", default="")
    parser.add_argument("--text")
    parser.add_argument("--skip", type=int, default=0, help="characters of the text to leave out")
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--types", default=TYPES.replace(" ", ","))
    parser.add_argument("--measure", default="kl,time")
    parser.add_argument("--chunks", type=int, default=6)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--json", help="results so far; types that are in it already are not made again")
    parser.add_argument("--base", help="keep the source's probabilities in this file, or take them from it")
    return parser.parse_args()


def main():
    args = arguments()
    matrix = Imatrix.load(args.imatrix) if args.imatrix else None
    results = json.loads(Path(args.json).read_text()) if args.json and Path(args.json).exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        weights = f"{folder}/weights.npz" if matrix else ""
        if matrix:
            write_weights(args.source, matrix, weights)
        base = (args.base or f"{folder}/base") if "kl" in args.measure else None
        if base and not Path(base).exists():
            write_base(args.source, Path(args.text).read_text()[args.skip :], args.chunks, base, args.threads)
        for name in args.types.split(","):
            for who, (command, path) in commands(args, name, weights, folder).items():
                if results.setdefault(name, {}).get(who):
                    continue
                told = run(command)
                if told:
                    told["bytes"] = Path(path).stat().st_size
                    told |= quality(path, base, args.chunks, args.threads) if base else {}
                results[name][who] = told
                shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in (told or {}).items() if k[-1] != "s"}
                print(name, who, shown or "fails", file=sys.stderr, flush=True)
                if args.json:
                    Path(args.json).write_text(json.dumps(results, indent=1))
    if "kl" in args.measure:
        print(table(results))


def commands(args, name, weights, folder):
    """{who: (command, file)} of what makes the files."""
    ours, theirs, threads = f"{folder}/ours.gguf", f"{folder}/theirs.gguf", str(args.threads)
    peer = [args.peer_python, str(HERE / "peer_quantize.py"), args.source, theirs, str(FILE_TYPES[name].id)]
    return {
        OURS: ([sys.executable, "-c", MAKE, args.source, ours, name, args.imatrix, threads], ours),
        PEER: ([*peer, weights, threads], theirs),
    }


if __name__ == "__main__":
    main()
