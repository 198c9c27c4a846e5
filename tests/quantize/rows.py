"""Rows to store, the importance of their columns, and how much of them is lost."""

from pathlib import Path

import numpy as np

from llama_gguf.engine.quants import dequantize
from llama_gguf.gguf.types import TYPES

DATA = Path(__file__).parents[1] / "data"
ERRORS = DATA / "libgguf_errors.json"
REAL = ("smollm2 token_embd.weight Q8_0", "gemma3 token_embd.weight Q8_0", "gemma3 blk.0.ffn_down.weight Q6_K")


def row_sets():
    """{title: float32 (rows, columns)}: real weights as far as 8 and 6 bits keep them, bell-shaped and heavy-tailed."""
    rng = np.random.default_rng(20)
    sets = {name: real(name) for name in REAL}
    sets["normal"] = rng.standard_normal((8, 512)).astype(np.float32)
    sets["heavy tails"] = rng.standard_t(4, (8, 512)).astype(np.float32)
    return sets


def real(name):
    """Real rows, as many columns as are whole super-blocks."""
    kind, raw = TYPES[name.split()[-1]], np.load(DATA / "real_rows.npz")[name]
    values = dequantize(raw, kind.id, raw.shape[1] // kind.bytes * kind.block)
    return np.ascontiguousarray(values[:, : values.shape[1] // 256 * 256])


def importance(n_cols, seed=1):
    """Importance as unequal as that of real columns."""
    return (np.random.default_rng(seed).gamma(0.7, size=n_cols) + 1e-3).astype(np.float32)


def peaked(n_cols):
    """Importance of a layer with massive activations: one column in 256 outweighs all others a million times."""
    weights = importance(n_cols)
    weights[13::256] *= 1e6
    return weights


def others(n_cols):
    """The importance of the columns that `peaked` leaves alone."""
    weights = importance(n_cols)
    weights[13::256] = 0
    return weights


def relative_error(values, stored, weights=1.0):
    """sqrt(sum(w (values - stored)**2) / sum(w values**2))"""
    wrong = np.square(values.astype(np.float64) - stored) * weights
    return np.sqrt(wrong.sum() / (np.square(values.astype(np.float64)) * weights).sum())
