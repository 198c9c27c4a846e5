"""Phi 3, 3.5, 4: as Llama with q, k, v in one matrix and gate, up in another (arXiv 2404.14219).

Contexts longer than the original one have frequencies of their own (LongRoPE, arXiv 2402.13753). A window, where a file
has one, holds for every layer, as it does in transformers; llama.cpp leaves it out.
"""

from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("phi3",)


def hparams(meta):
    return {"rope": "neox", "window": meta.int(".attention.sliding_window", 0, lo=0)}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, window=h.window)
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
