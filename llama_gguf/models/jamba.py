"""Jamba: Mamba layers with one of attention, without positions, between some of them (arXiv 2403.19887).

Layers without key heads are the recurrent ones; what makes the step and both projections of the state are normed.
"""

from ..hparams import state_space
from ..nn import attention, gated_mlp, mamba, output, rms_norm, silu

NAMES = ("jamba",)


def hparams(meta):
    return state_space(meta, groups=False) | {"recurrent": True, "normed": False}


def block(w, x, h, layer):
    y = rms_norm(x, w.attn_norm)
    x = x + (attention(w, y, h, layer) if h.kv_heads else mamba(w, y, h))
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
