"""DeepSeek MoE, the first one, and Ling: small experts, and some for every token (arXiv 2401.06066, 2503.05139).

The first layer is dense. Shared experts stand side by side in one. DeepSeek's weights do not add up to 1; Ling's file
tells.
"""

from ..nn import attention, moe_or_mlp, output, rms_norm

NAMES = ("deepseek", "bailingmoe")


def hparams(meta):
    return {"rope": "norm", "experts": {"gating": "softmax", "norm": False, "shared": "plain"}}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
