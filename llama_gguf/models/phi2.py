"""Phi 1.5 and 2: attention and a plain MLP side by side, both from one layer norm (arXiv 2309.05463).

Biases everywhere, on the logits too; only a part of each head turns.
"""

from ..nn import attention, gelu, layer_norm, mlp, output

NAMES = ("phi2",)
BIASES = "output_norm output attn_norm attn_output ffn_up ffn_down"


def hparams(meta):
    return {"rope": "neox"}


def block(w, x, h, layer):
    y = layer_norm(x, w.attn_norm)
    return x + attention(w, y, h, layer) + mlp(w, y, gelu)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
