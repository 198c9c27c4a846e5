"""Gemma 1: embeddings scaled by the root of the width, GELU-gated, heads wider than their share (arXiv 2403.08295).

The "+ 1" of Gemma's norms is in the file's weights.
"""

from ..nn import attention, gated_mlp, gelu, output, rms_norm

NAMES = ("gemma",)


def hparams(meta):
    return {"rope": "neox"}


def embed(w, x, h):
    return x * h.width**0.5


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), gelu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
