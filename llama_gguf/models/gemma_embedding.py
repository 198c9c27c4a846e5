"""EmbeddingGemma: Gemma 3 that looks both ways, local layers half a window to either side (arXiv 2509.20354).

Two dense layers, where a file has them, make the vector of a text of what is pooled.
"""

from ..nn import rms_norm
from . import gemma3

NAMES, ENCODER = ("gemma-embedding",), True


def hparams(meta):
    if meta.bool(".attention.causal", False):
        raise meta.error(".attention.causal", "is true, but EmbeddingGemma looks both ways")
    return gemma3.hparams(meta)


embed = gemma3.embed


def block(w, x, h, layer):
    return gemma3.block(w, x, h, layer, causal=False)


def head(w, x, h):
    return rms_norm(x, w.output_norm)


def project(w, x, h):
    """The vector of a text from its pooled states, or None without dense layers."""
    return w.dense_3 @ (w.dense_2 @ x) if "dense_2" in w else None
