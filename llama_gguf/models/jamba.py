"""Jamba: Mamba layers with one of attention, without positions, between some of them (arXiv 2403.19887).

Layers without key heads are the recurrent ones; what makes the step and both projections of the state are normed.
Some layers have experts, whose weights do not add up to 1.
"""

from ..hparams import state_space
from ..nn import attention, mamba, moe_or_mlp, output, rms_norm

NAMES = ("jamba",)


def hparams(meta):
    own = {"recurrent": True, "normed": False, "experts": {"gating": "softmax", "norm": False}}
    return state_space(meta, groups=False) | own


def block(w, x, h, layer):
    y = rms_norm(x, w.attn_norm)
    x = x + (attention(w, y, h, layer) if h.kv_heads else mamba(w, y, h))
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
