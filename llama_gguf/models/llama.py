"""Llama 1 to 3, and what is shaped like it (Mistral, SmolLM, TinyLlama, Yi): the baseline that others depart from.

Pre-norm residual blocks, rotary positions on neighbouring pairs, grouped queries, SwiGLU
(arXiv 2302.13971, 2407.21783).
"""

from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("llama",)


def hparams(meta):
    return {"rope": "norm"}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
