"""OLMo 1: layer norms without any weights, what is projected to q, k and v may be clamped (arXiv 2402.00838)."""

from ..nn import attention, gated_mlp, layer_norm, output, silu

NAMES = ("olmo",)


def hparams(meta):
    return {"rope": "norm", "clamp": meta.float(".attention.clamp_kqv", 0.0, lo=0.0)}


def block(w, x, h, layer):
    x = x + attention(w, layer_norm(x), h, layer, clamp=h.clamp)
    return x + gated_mlp(w, layer_norm(x), silu)


def head(w, x, h):
    return output(w, layer_norm(x))
