"""Falcon: attention and a plain MLP side by side (arXiv 2311.16867).

7B: one key head, both branches from one norm. 40B and 180B: groups of heads, a second norm for attention.
"""

from ..nn import attention, gelu_erf, layer_norm, mlp, output

NAMES = ("falcon",)
BIASES = "output_norm attn_norm attn_norm_2"


def hparams(meta):
    return {"rope": "neox"}


def block(w, x, h, layer):
    y = layer_norm(x, w.attn_norm)
    z = layer_norm(x, w.attn_norm_2) if "attn_norm_2" in w else y
    return x + attention(w, z, h, layer) + mlp(w, y, gelu_erf)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
