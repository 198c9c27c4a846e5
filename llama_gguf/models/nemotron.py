"""Nemotron 4, Minitron and Jais 2: layer norms, a plain MLP with squared ReLU (arXiv 2402.16819).

Half of each head turns in Nemotron. The "+ 1" of its norms is in the file's weights.
"""

from ..nn import attention, layer_norm, mlp, output, relu_squared

NAMES = ("nemotron", "jais2")
BIASES = "output_norm attn_norm ffn_norm"


def hparams(meta):
    return {"rope": "neox"}


def block(w, x, h, layer):
    x = x + attention(w, layer_norm(x, w.attn_norm), h, layer)
    return x + mlp(w, layer_norm(x, w.ffn_norm), relu_squared)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
