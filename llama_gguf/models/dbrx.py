"""DBRX: layer norms without bias, queries, keys and values clamped, experts in every layer (Databricks, 2024).

Weights of experts add up to 1. The norm before them is called attn_output_norm in the files.
"""

from ..nn import attention, layer_norm, moe, output

NAMES = ("dbrx",)


def hparams(meta):
    clamp = meta.float(".attention.clamp_kqv", lo=0.0)
    return {"rope": "neox", "clamp": clamp, "experts": {"gating": "softmax", "norm": True}}


def block(w, x, h, layer):
    x = x + attention(w, layer_norm(x, w.attn_norm), h, layer, clamp=h.clamp)
    return x + moe(w, layer_norm(x, w.attn_output_norm), h)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
