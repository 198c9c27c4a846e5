"""Which bits of a block make a value: found by turning each of them over."""

from functools import cache

import numpy as np

from llama_gguf.blocks.microscope import checked
from llama_gguf.blocks.twins import TWINS

TRIES = 8, 320
"""Random blocks that are tried, and where neighbours among a codebook's points or a digit's values may be alike."""


def bits_of(type_id, value):
    """{"code", "scale", "minimum"}: the bits that a value depends on, as {byte: mask} of a block of this type."""
    kind = checked(type_id)
    value = range(kind.block)[value]
    code, scale, minimum, size = influence(kind)
    group = value // size
    found = {"code": code[:, value], "scale": scale[:, group]}
    if minimum is not None:
        found["minimum"] = minimum[:, group]
    return {name: masks(bits) for name, bits in found.items()}


@cache
def influence(kind):
    """bool (bits, values) for codes, (bits, groups) for scales and minimums; values of a group."""
    rng = np.random.default_rng(kind.id)
    found = [changes(kind, rng) for _ in range(TRIES[1 if kind.name[0] in "IT" else 0] // TRIES[0])]
    code, scale, minimum, size = found[0]
    code, scale = np.any([f[0] for f in found], axis=0), np.any([f[1] for f in found], axis=0)
    return code, scale, minimum, size


def changes(kind, rng):
    """What turning over each bit changes in a few random blocks."""
    n, tries = 8 * kind.bytes, TRIES[0]
    blocks = rng.integers(0, 256, (tries, kind.bytes), dtype=np.uint8)
    turned = np.repeat(blocks[:, None], n, axis=1)
    bit = np.arange(n)
    turned[:, bit, bit // 8] ^= (1 << (bit % 8)).astype(np.uint8)
    with np.errstate(all="ignore"):
        before, after = TWINS[kind.name](blocks), TWINS[kind.name](turned.reshape(-1, kind.bytes))
    groups, size = before.code.shape[1:]

    def changed(name):
        old, new = getattr(before, name), getattr(after, name)
        new = new.reshape(tries, n, *new.shape[1:])
        return ((new != old[:, None]) & ~(np.isnan(new) & np.isnan(old[:, None]))).any(axis=0)

    spread = np.ones((1, groups), bool)
    minimum = None if before.minimum is None else changed("minimum")[:, :, 0] & spread
    return changed("code").reshape(n, -1), changed("scale")[:, :, 0] & spread, minimum, size


def masks(bits):
    """{byte: mask} of the bits that are set."""
    packed = np.packbits(bits.reshape(-1, 8), axis=1, bitorder="little")[:, 0]
    return {int(i): int(packed[i]) for i in np.flatnonzero(packed)}
