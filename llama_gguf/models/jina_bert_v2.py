"""Jina Embeddings 2: BERT whose scores fall with distance instead of positions that are learned (arXiv 2310.19923).

The feed-forward network is gated in most of its sizes. The model for code norms queries and keys, and norms the sum
of a layer's input and attention twice.
"""

from ..nn import attention, first_row, gated_mlp, gelu_erf, layer_norm, mlp

NAMES, ENCODER = ("jina-bert-v2",), True
BIASES = "token_embd_norm attn_output attn_output_norm ffn_down layer_output_norm"
SLOPES = 8  # the exponent of ALiBi's largest slope


def hparams(meta):
    if meta.bool(".attention.causal", False):
        raise meta.error(".attention.causal", "is true, but Jina Embeddings look both ways")
    return {"rope": None, "ranked_by": "cls"}


def embed(w, x, h):
    return layer_norm(first_row(x, w.token_types), w.token_embd_norm)


def block(w, x, h, layer):
    a = attention(w, x, h, layer, turn=None, norm=layer_norm, alibi=SLOPES, causal=False)
    y = layer_norm(x + a, w.attn_output_norm)
    if "attn_norm_2" in w:
        y = layer_norm(x + y, w.attn_norm_2)
    network = gated_mlp if "ffn_gate" in w or w.ffn_up.rows == 2 * w.ffn_down.cols else mlp
    return layer_norm(y + network(w, y, gelu_erf), w.layer_output_norm)


def head(w, x, h):
    return x


def rank(w, x, h):
    """The score of a text's vector, or None without a head."""
    return w.cls @ x if "cls" in w else None
