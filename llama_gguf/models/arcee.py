"""Arcee AFM: as Llama, with a plain MLP and squared ReLU."""

from ..nn import attention, mlp, output, relu_squared, rms_norm

NAMES = ("arcee",)


def hparams(meta):
    return {"rope": "norm"}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + mlp(w, rms_norm(x, w.ffn_norm), relu_squared)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
