"""What a KV cache gives back of the rows that went into it: NumPy twins of pyx/isa/cache.pxi."""

import numpy as np


def q8_0(x):
    """float32 (..., 32) as Q8_0 keeps it, rounded as by llama.cpp's `quantize_row_q8_0`."""
    d = abs(x).max(-1, keepdims=True) / np.float32(127)
    return half(d) * np.rint(x * inverse(d))


def q4_0(x):
    """The same for Q4_0: codes for the largest value / -8 or / -8.5, whichever leave less with their best scale."""
    top, best, least = np.take_along_axis(x, abs(x).argmax(-1)[..., None], -1), 0, np.inf
    for range_ in (8, 8.5):
        code = np.minimum(15, np.trunc(x * inverse(top / np.float32(-range_)) + np.float32(8.5))) - 8
        d = (x.astype(np.float64) * code).sum(-1, keepdims=True) / np.maximum(1, (code**2).sum(-1, keepdims=True))
        left = ((x - d * code) ** 2).sum(-1, keepdims=True)
        best, least = np.where(left < least, half(d) * code, best), np.minimum(left, least)
    return best


def half(d):
    return d.astype(np.float16).astype(np.float64)


def inverse(d):
    with np.errstate(divide="ignore"):
        return np.where(d != 0, np.float32(1) / d, np.float32(0))


ROUNDS = {"Q8_0": q8_0, "Q4_0": q4_0}


def hadamard(n):
    """(n, n) of +1 and -1, symmetric; its square is n times the identity."""
    h = np.ones((1, 1))
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    return h


def kept(kv_type, x, dim, most=512):
    """Rows (n, heads * dim) after their way through a cache, in the dtype of x.

    Quantized heads are transformed in groups (the largest power of two that divides dim, at most `most`), padded to
    whole blocks, rounded, and transformed back.
    """
    if kv_type == "F16":
        return x.astype(np.float16).astype(x.dtype)
    if kv_type == "F32":
        return x.astype(np.float32).astype(x.dtype)
    group = min(dim & -dim, most)
    mixed = (x.astype(np.float64).reshape(-1, group) @ hadamard(group)).reshape(-1, dim)
    padded = np.pad(mixed, ((0, 0), (0, -dim % 32))).astype(np.float32)
    back = ROUNDS[kv_type](padded.reshape(len(padded), -1, 32)).reshape(len(padded), -1)[:, :dim]
    return (back.reshape(-1, group) @ hadamard(group) / group).reshape(x.shape).astype(x.dtype)


def edits(kv_type, k_dim, v_dim):
    """For words.Twin: keys "k" and values "v" as the cache keeps them."""
    return {"k": lambda x: kept(kv_type, x, k_dim), "v": lambda x: kept(kv_type, x, v_dim, 64)}
