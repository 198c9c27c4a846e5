"""StableLM: layer norms, SwiGLU, a part of each head turns (arXiv 2402.17834).

StableLM 2 12B norms each head of q and k by gains of its own, and has no second norm: both branches read the first.
"""

from ..nn import attention, gated_mlp, layer_norm, output, silu

NAMES = ("stablelm",)
BIASES = "output_norm attn_norm ffn_norm"
WITHOUT_EFFECT = {"use_parallel_residual": "files say true also where there is a second norm, which tells"}


def hparams(meta):
    return {"rope": "neox"}


def block(w, x, h, layer):
    y = layer_norm(x, w.attn_norm)
    x = x + attention(w, y, h, layer, norm=layer_norm)
    return x + gated_mlp(w, layer_norm(x, w.ffn_norm) if "ffn_norm" in w else y, silu)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
