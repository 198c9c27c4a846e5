"""GPT-NeoX and Pythia: layer norms, a plain MLP with exact GELU; a part of each head turns
(arXiv 2204.06745, 2304.01373). Both branches read the same residual where the file says so.
"""

from ..nn import attention, gelu_erf, layer_norm, mlp, output

NAMES = ("gptneox",)
BIASES = "output_norm attn_norm attn_qkv attn_output ffn_norm ffn_up ffn_down"


def hparams(meta):
    return {"rope": "neox", "parallel": meta.bool(".use_parallel_residual")}


def block(w, x, h, layer):
    y = x + attention(w, layer_norm(x, w.attn_norm), h, layer)
    return y + mlp(w, layer_norm(x if h.parallel else y, w.ffn_norm), gelu_erf)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
