"""Whole files by file type, ours beside llama.cpp's with the same importance matrix: size, KL, perplexity, time, memory

    python benchmarks/quantized.py SOURCE --imatrix I.gguf --text T.txt --peer-python VENV/bin/python
        [--types Q4_K_M,...] [--measure kl,time] [--json OUT]

KL divergence and perplexity are those of our engine on both files, against SOURCE, over windows of 512 tokens; the text
should not be the one the matrix was made of. Times are of one run each, on all cores: let nothing else run. `seconds`
are those of quantizing, `process_seconds` those of the program from start to end, `cpu_seconds` what all its threads
worked.
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

from llama_gguf import Model
from llama_gguf.evaluate import divergence
from llama_gguf.quantize import FILE_TYPES, Imatrix

HERE = Path(__file__).parent
OURS = """
import json, sys, time
from llama_gguf.quantize import Imatrix, quantize_file
source, out, name, matrix = sys.argv[1:]
matrix = Imatrix.load(matrix) if matrix else None
began = time.perf_counter()
quantize_file(source, out, name, matrix, force=True)
told = {"code": 0, "seconds": time.perf_counter() - began}
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps(told | {"peak_bytes": 1024 * int(peak.split()[1])}))
"""
TYPES = (
    "F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 MXFP4_MOE TQ2_0 TQ1_0 IQ4_XS IQ4_NL Q3_K_L"
    " Q3_K_M Q3_K_S IQ3_M IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_XS IQ2_XXS IQ1_M IQ1_S"
)


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


def quality(path, base, text, chunks):
    """KL of a file against the base, and its perplexity."""
    with Model(path) as model:
        *_, found = divergence.stream(model, base, text, n_ctx=512, chunks=chunks)
        told = found.to_dict()
    return {key: told[key] for key in ("kl", "perplexity", "base_perplexity", "same_top", "tokens")}


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
    parser.add_argument("--json")
    return parser.parse_args()


def main():
    args = arguments()
    matrix = Imatrix.load(args.imatrix) if args.imatrix else None
    text = Path(args.text).read_text()[args.skip :] if args.text else None
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = f"{folder}/weights.npz" if matrix else ""
        if matrix:
            write_weights(args.source, matrix, weights)
        base = Model(args.source) if "kl" in args.measure else None
        for name in args.types.split(","):
            number = str(FILE_TYPES[name].id)
            files = {"ours": f"{folder}/ours.gguf", "llama.cpp": f"{folder}/theirs.gguf"}
            peer = [args.peer_python, str(HERE / "peer_quantize.py"), args.source, files["llama.cpp"], number, weights]
            ours = [sys.executable, "-c", OURS, args.source, files["ours"], name, args.imatrix]
            commands = {"ours": ours, "llama.cpp": peer}
            results[name] = {}
            for who, command in commands.items():
                told = run(command)
                if told is None:
                    continue
                told["bytes"] = Path(files[who]).stat().st_size
                if base:
                    told |= quality(files[who], base, text, args.chunks)
                results[name][who] = told
                print(name, who, {k: round(v, 6) if isinstance(v, float) else v for k, v in told.items()}, flush=True)
            if args.json:
                Path(args.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
