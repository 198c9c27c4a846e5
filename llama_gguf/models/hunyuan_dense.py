"""Hunyuan, dense: as Llama; each head of q and k is normed after it turned."""

from ..nn import attention, gated_mlp, output, rms_norm, silu
from ..rope import sections

NAMES = ("hunyuan-dense",)


def hparams(meta):
    sections(meta)
    return {"rope": "neox"}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, normed="after")
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
