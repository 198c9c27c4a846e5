"""Types for the size of a file type, beside that file type: KL divergence from the source.

    python benchmarks/sized.py SOURCE --imatrix I.gguf --text T.txt [--types Q4_K_M,IQ3_M] [--sensitivity S.txt]
        [--chunks 6] [--base FILE]

The text should be neither the one the matrix was made of nor that of --sensitivity. Windows and errors as in
quantized.py.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import markdown
from benchmarks.quantized import pair, quality, write_base
from llama_gguf import Model
from llama_gguf.quantize import Imatrix, quantize_file
from llama_gguf.quantize.targets import measured_sensitivity, recipe_for_size

TITLES = "size of", "MB", "KL of the file type", "by usual damage", "with sensitivity"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--imatrix", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--types", default="Q4_K_M,IQ3_M")
    parser.add_argument("--sensitivity", help="a text")
    parser.add_argument("--chunks", type=int, default=6)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--base", help="keep the source's probabilities in this file, or take them from it")
    return parser.parse_args()


def sensitivities(args, matrix):
    """What `recipe_for_size` is given in turn: nothing, and what was measured, if it was."""
    yield None
    if args.sensitivity:
        with Model(args.source, n_threads=args.threads) as model:
            yield measured_sensitivity(model, Path(args.sensitivity).read_text(), weights=matrix)


def main():
    args = arguments()
    matrix = Imatrix.load(args.imatrix)
    known = list(sensitivities(args, matrix))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        base, out = args.base or f"{folder}/base", f"{folder}/out.gguf"
        if not Path(base).exists():
            write_base(args.source, Path(args.text).read_text(), args.chunks, base, args.threads)

        def kl(recipe):
            made = quantize_file(args.source, out, recipe, matrix, force=True, n_threads=args.threads)
            return made.bytes_after, pair(quality(out, base, args.chunks, args.threads)["kl"])

        for name in args.types.split(","):
            size, found = kl(name)
            recipes = (recipe_for_size(args.source, size, imatrix=matrix, sensitivity=s).recipe for s in known)
            rows.append([name, f"{size / 1e6:.1f}", found, *(kl(recipe)[1] for recipe in recipes)])
            print(*rows[-1], file=sys.stderr, flush=True)
    print(markdown(TITLES[: len(rows[0])], rows))


if __name__ == "__main__":
    main()
