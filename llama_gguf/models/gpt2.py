"""GPT-2, StarCoder: learned positions, layer norms, a plain MLP (Radford et al. 2019; arXiv 2305.06161).

StarCoder's query heads share one key head.
"""

from ..nn import attention, gelu, layer_norm, learned_positions, mlp, output

NAMES = ("gpt2", "starcoder")
BIASES = "output_norm attn_norm attn_qkv attn_output ffn_norm ffn_up ffn_down"


def embed(w, x, h):
    return learned_positions(w, x)


def block(w, x, h, layer):
    x = x + attention(w, layer_norm(x, w.attn_norm), h, layer)
    return x + mlp(w, layer_norm(x, w.ffn_norm), gelu)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
