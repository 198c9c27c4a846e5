"""DeepSeek MoE, the first one: many small experts and some that every token goes to (arXiv 2401.06066).

The first layer is dense. Weights of experts are not made to add up to 1. Shared experts stand side by side in one.
"""

from ..nn import attention, moe_or_mlp, output, rms_norm

NAMES = ("deepseek",)


def hparams(meta):
    return {"rope": "norm", "experts": {"gating": "softmax", "norm": False}}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
