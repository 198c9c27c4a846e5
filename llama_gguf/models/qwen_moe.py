"""Qwen 1.5 and 2 MoE (with biases of q, k and v) and Qwen 3 MoE (with norms of q and k): arXiv 2407.10671, 2505.09388.

Qwen 2's weights of experts are not made to add up to 1, and a shared expert stands beside them, weighted by a gate of
its own; Qwen 3's add up to 1, and none is shared. Qwen 3 VL is the same for texts.
"""

from ..nn import attention, moe, output, rms_norm
from ..rope import sections

NAMES = ("qwen2moe", "qwen3moe", "qwen3vlmoe")


def hparams(meta):
    three = meta.arch != "qwen2moe"
    sections(meta)
    return {"rope": "neox", "experts": {"gating": "softmax", "norm": three, "shared": "" if three else "gated"}}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + moe(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
