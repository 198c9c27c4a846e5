"""Llama 1 to 3, and what is shaped like it (Mistral, SmolLM, TinyLlama, Yi): the baseline that others depart from.

Pre-norm residual blocks, rotary positions on neighbouring pairs, grouped queries, SwiGLU
(arXiv 2302.13971, 2407.21783). Mixtral has experts, whose weights add up to 1 (arXiv 2401.04088).
"""

from ..nn import attention, moe_or_mlp, output, rms_norm

NAMES = ("llama",)


def hparams(meta):
    return {"rope": "norm", "experts": {"gating": "softmax", "norm": True}}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
