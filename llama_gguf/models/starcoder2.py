"""StarCoder 2 and CodeShell: layer norms, rotary positions, a plain MLP, biases everywhere
(arXiv 2402.19173, 2403.15747).
"""

from ..nn import attention, gelu, layer_norm, mlp, output

NAMES = ("starcoder2", "codeshell")
BIASES = "output_norm attn_norm attn_output ffn_norm ffn_up ffn_down"


def hparams(meta):
    return {"rope": "neox"}


def block(w, x, h, layer):
    x = x + attention(w, layer_norm(x, w.attn_norm), h, layer)
    return x + mlp(w, layer_norm(x, w.ffn_norm), gelu)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
