"""BitNet b1.58: as Llama, with a norm more in each branch, before its last product (arXiv 2402.17764).

Weights are -1, 0 or 1 and a scale for each matrix; files hold them in ternary types or in any other.
"""

from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("bitnet",)


def hparams(meta):
    return {"rope": "neox"}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, within=lambda z: rms_norm(z, w.attn_sub_norm))
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu, within=lambda y: rms_norm(y, w.ffn_sub_norm))


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
