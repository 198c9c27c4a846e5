"""BLOOM: no positions but ALiBi's slopes, a norm on the embeddings, plain MLP (arXiv 2211.05100, 2108.12409)."""

from ..nn import attention, gelu, layer_norm, mlp, output

NAMES = ("bloom",)
BIASES = "token_embd_norm output_norm attn_norm attn_qkv attn_output ffn_norm ffn_up ffn_down"
MOST = 8.0  # the exponent of ALiBi's largest slope, which no key states


def embed(w, x, h):
    return layer_norm(x, w.token_embd_norm)


def block(w, x, h, layer):
    x = x + attention(w, layer_norm(x, w.attn_norm), h, layer, alibi=MOST)
    return x + mlp(w, layer_norm(x, w.ffn_norm), gelu)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
