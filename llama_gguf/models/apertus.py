"""Apertus: queries and keys normed for each head, a plain MLP with xIELU, whose shape each layer learns
(arXiv 2509.14233, 2411.13010).
"""

import math

from ..nn import attention, mlp, output, rms_norm, xielu

NAMES = ("apertus",)


def hparams(meta):
    layers = meta.int(".block_count", lo=1)
    alpha_n, alpha_p, beta, eps = (meta.floats(f"xielu.{k}", layers) for k in ("alpha_n", "alpha_p", "beta", "eps"))
    alpha_n = [b + softplus(a) for a, b in zip(alpha_n, beta, strict=True)]
    return {"rope": "neox", "xielu": list(zip(alpha_n, map(softplus, alpha_p), beta, eps, strict=True))}


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + mlp(w, rms_norm(x, w.ffn_norm), lambda y: xielu(y, *h.xielu[layer]))


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
