"""OLMoE: 64 small experts, 8 for each token; norms over whole queries and keys (arXiv 2409.02060).

Weights of experts are not made to add up to 1.
"""

from ..nn import attend, moe, output, rms_norm, rope

NAMES = ("olmoe",)


def hparams(meta):
    return {"rope": "neox", "experts": {"gating": "softmax", "norm": False}}


def block(w, x, h, layer):
    n = rms_norm(x, w.attn_norm)
    q, k = rms_norm(w.attn_q @ n, w.attn_q_norm), rms_norm(w.attn_k @ n, w.attn_k_norm)
    x = x + w.attn_output @ attend(rope(q, h, h.heads), rope(k, h, h.kv_heads), w.attn_v.precise(n), h, layer)
    return x + moe(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
