"""Orion: as Llama with layer norms and pairs that stand half a head apart (arXiv 2401.12246)."""

from ..nn import attention, gated_mlp, layer_norm, output, silu

NAMES = ("orion",)
BIASES = "output_norm attn_norm ffn_norm"


def hparams(meta):
    return {"rope": "neox"}


def block(w, x, h, layer):
    x = x + attention(w, layer_norm(x, w.attn_norm), h, layer)
    return x + gated_mlp(w, layer_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
