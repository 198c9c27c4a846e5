"""OLMoE: 64 small experts, 8 for each token; norms over whole queries and keys (arXiv 2409.02060).

Weights of experts are not made to add up to 1.
"""

from ..nn import attention, moe, output, rms_norm

NAMES = ("olmoe",)


def hparams(meta):
    return {"rope": "neox", "experts": {"gating": "softmax", "norm": False}}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + moe(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
