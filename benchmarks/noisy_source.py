"""Writes an F16 model of a quantized one, for want of its original: what quantizers are tried on.

    python benchmarks/noisy_source.py MODEL OUT.gguf [--seed 0]

Weights that lie on a grid favour types that have the same grid. So each value gets uniform noise of one step of its
grid, the least distance between two values of the same sixteen.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse

import numpy as np

from llama_gguf.gguf import GGUFFile, Typed, write_gguf
from llama_gguf.gguf.types import TYPES

GROUP = 16
PLAIN = "F32", "F16", "BF16"


def steps(groups):
    """float32 (groups, 1): the least distance between two values of each; 0 where all are the same."""
    gaps = np.diff(np.sort(groups, axis=1), axis=1)
    widths = groups.max(1, keepdims=True) - groups.min(1, keepdims=True)
    gaps[gaps <= 1e-4 * widths] = np.inf  # the same code, rounded elsewhere
    least = gaps.min(1, keepdims=True)
    return np.where(np.isfinite(least), least, 0).astype(np.float32)


def noisy(values, random):
    groups = values.reshape(-1, GROUP)
    noise = random.random(groups.shape, np.float32) - np.float32(0.5)
    return (groups + steps(groups) * noise).reshape(values.shape)


def written(tensor, random):
    """(name, type, shape, data) of the new file; plain tensors stay as they are."""
    if tensor.type.name in PLAIN:
        return tensor.name, tensor.type.name, tensor.shape, tensor
    return tensor.name, "F16", tensor.shape, lambda: noisy(tensor.numpy(), random).astype(np.float16)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    random = np.random.default_rng(args.seed)
    with GGUFFile(args.model) as file:
        metadata = file.metadata.typed() | {"general.file_type": Typed(TYPES["F16"].id, "u32")}
        write_gguf(args.out, metadata, [written(t, random) for t in file.tensors.values()])
    print(f"{args.out}: {os.path.getsize(args.out):,} bytes")


if __name__ == "__main__":
    main()
