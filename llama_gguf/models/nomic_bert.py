"""Nomic Embed 1 and 1.5: BERT with rotary positions and SwiGLU (arXiv 2402.01613)."""

from ..nn import attention, first_row, gated_mlp, layer_norm, silu

NAMES, ENCODER = ("nomic-bert",), True
BIASES = "token_embd_norm attn_output_norm layer_output_norm"


def hparams(meta):
    if meta.bool(".attention.causal", False):
        raise meta.error(".attention.causal", "is true, but Nomic Embed looks both ways")
    return {"rope": "neox"}


def embed(w, x, h):
    return layer_norm(first_row(x, w.token_types) if "token_types" in w else x, w.token_embd_norm)


def block(w, x, h, layer):
    x = layer_norm(x + attention(w, x, h, layer, causal=False), w.attn_output_norm)
    return layer_norm(x + gated_mlp(w, x, silu), w.layer_output_norm)


def head(w, x, h):
    return x
