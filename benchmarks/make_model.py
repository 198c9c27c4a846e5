"""Writes a model of random weights in a well-known shape: as large as a real one, and nothing to download.

    python benchmarks/make_model.py --shape 7b --type Q4_K_M OUT.gguf

Speed and memory are those of a real file of that shape and type; what it says is nonsense.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse

from llama_gguf.gguf.types import TYPES
from llama_gguf.testing import MIXTURES, SHAPES, tiny


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--type", choices=[*MIXTURES, *TYPES], default="Q4_K_M", metavar="TYPE")
    parser.add_argument("--layers", type=int, help="fewer of them, for a smaller file")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if os.path.exists(args.out):
        parser.error(f"{args.out} exists")
    shape = SHAPES[args.shape] | ({"layers": args.layers} if args.layers else {})
    tiny(args.out, type=args.type, seed=args.seed, **shape)
    print(f"{args.out}: {os.path.getsize(args.out):,} bytes")


if __name__ == "__main__":
    main()
