"""Hunyuan, dense or with experts, and Maincoder: as Llama; each head of q and k is normed after it turned
(arXiv 2411.02265).

Weights of experts add up to 1, and one is shared. Maincoder turns neighbouring pairs.
"""

from ..nn import attention, moe_or_mlp, output, rms_norm
from ..rope import sections

NAMES = ("hunyuan-dense", "hunyuan-moe", "maincoder")


def hparams(meta):
    sections(meta)
    return {"rope": "norm" if meta.arch == "maincoder" else "neox", "experts": {"gating": "softmax", "norm": True}}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, normed="after")
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
