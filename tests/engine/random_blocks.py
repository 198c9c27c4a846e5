"""Random rows of every tensor type whose scales are finite, as files have them."""

import numpy as np

from llama_gguf.gguf.types import BY_ID, TYPES

ALL = tuple(TYPES)
QUANTIZED = tuple(name for name, kind in TYPES.items() if kind.is_quantized)

# Bytes at which a half-precision scale or minimum stands; IQ1_M scatters its own over four words.
HALVES = dict.fromkeys(QUANTIZED, (0,))
HALVES |= dict.fromkeys(("Q4_1", "Q5_1", "Q8_1", "Q4_K", "Q5_K"), (0, 2))
HALVES |= {"Q2_K": (80, 82), "Q3_K": (108,), "Q6_K": (208,), "TQ1_0": (52,), "TQ2_0": (64,)}
HALVES |= {"MXFP4": (), "NVFP4": (), "Q8_K": (), "IQ1_M": ()}


def random_rows(name, rows, blocks, seed=0):
    """uint8 (rows, row_bytes) and the number of columns."""
    kind, rng = TYPES[name], np.random.default_rng([seed, TYPES[name].id])
    raw = rng.integers(0, 256, (rows, blocks, kind.bytes), dtype=np.uint8)
    if name in ("F32", "F16", "BF16", "F64"):
        raw = float_bytes(name, rng.standard_normal((rows, blocks)))
    for at in HALVES.get(name, ()):
        raw[..., at : at + 2] = half_bytes(rng, raw.shape[:2])
    if name == "Q8_K":
        raw[..., :4] = float_bytes("F32", rng.standard_normal((rows, blocks)))
    if name == "MXFP4":
        raw[..., 0] = raw[..., 0] % 250
    if name == "IQ1_M":
        scatter(raw, half_bytes(rng, raw.shape[:2]).view(np.uint16)[..., 0])
    return raw.reshape(rows, blocks * kind.bytes), blocks * kind.block


def half_bytes(rng, shape):
    """Normal, subnormal and zero scales."""
    scales = rng.standard_normal(shape) * rng.choice([0, 1e-6, 1e-3, 1, 100], shape)
    return scales.astype(np.float16)[..., None].view(np.uint8)


def float_bytes(name, values):
    if name == "BF16":
        words = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    else:
        words = values.astype(TYPES[name].dtype)
    return words[..., None].view(np.uint8)


def scatter(raw, halves):
    """Writes half-precision scales into IQ1_M blocks."""
    words = raw[..., 48:56].copy().view(np.uint16) & 0x0FFF
    words |= (halves[..., None] >> np.arange(0, 16, 4, dtype=np.uint16)) << 12
    raw[..., 48:56] = words.view(np.uint8)


def type_id(name):
    return TYPES[name].id


__all__ = ["ALL", "BY_ID", "HALVES", "QUANTIZED", "random_rows", "scatter", "type_id"]
