"""Phi 3.5 MoE: layer norms, biases in attention and on the logits, two experts chosen by SparseMixer (arXiv 2404.14219,
2409.12136).

Each expert's weight is its share among those nearly as good: mostly 1, so that weights add up to 2. llama.cpp takes RMS
norms and weights that add up to 1 instead; this follows transformers.
"""

from ..nn import attention, layer_norm, moe, output

NAMES = ("phimoe",)
BIASES = "output_norm output attn_norm attn_q attn_k attn_v attn_output ffn_norm"


def hparams(meta):
    window = meta.int(".attention.sliding_window", 0, lo=0)
    return {"rope": "neox", "window": window, "experts": {"gating": "nearest", "norm": False}}


def block(w, x, h, layer):
    x = x + attention(w, layer_norm(x, w.attn_norm), h, layer, window=h.window)
    return x + moe(w, layer_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
