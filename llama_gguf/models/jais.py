"""Jais: GPT-2's blocks with ALiBi and SwiGLU; scores are divided by the width of a head, not by its root
(arXiv 2308.16149, 2203.03466). The scales of embeddings and logits are in the files' weights already.
"""

from ..nn import attention, gated_mlp, layer_norm, output, silu

NAMES = ("jais",)
BIASES = "output_norm attn_norm attn_qkv attn_output ffn_norm ffn_gate ffn_up ffn_down"


def hparams(meta):
    return {"rope": None, "alibi": meta.float(".attention.max_alibi_bias", 0.0, lo=0.0)}


def block(w, x, h, layer):
    x = x + attention(w, layer_norm(x, w.attn_norm), h, layer, alibi=h.alibi, scale=1 / h.head_dim)
    return x + gated_mlp(w, layer_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
