"""Twins of nn/core.py and of what values themselves can do.

One function a record kind: (graph, record, *input arrays (rows, width)) -> array."""

import numpy as np


def do_embed(g, r):
    return g.number(r.attrs["weight"].tensor)[g.ids]


def do_input(g, r):
    return np.asarray(g.residual, np.float32)


def do_copy(g, r, x):
    return x


def do_select(g, r, x):
    return x


def do_matmul(g, r, x):
    w = r.attrs["weight"]
    y = x @ g.number(w.tensor).T
    return y if w.bias is None else y + g.number(w.bias)


def do_rms_norm(g, r, x):
    heads = x.reshape(len(x), r.attrs["heads"], -1)
    normed = heads / np.sqrt(np.mean(heads * heads, -1, keepdims=True) + np.float32(r.attrs["eps"]))
    return scaled(g, r, normed).reshape(x.shape)


def do_layer_norm(g, r, x):
    heads = x.reshape(len(x), r.attrs["heads"], -1)
    heads = heads - heads.mean(-1, keepdims=True)
    normed = heads / np.sqrt(np.mean(heads * heads, -1, keepdims=True) + np.float32(r.attrs["eps"]))
    return scaled(g, r, normed).reshape(x.shape)


def scaled(g, r, normed):
    """Times the gain, plus the bias."""
    gain = r.attrs["gain"]
    if gain is None:
        return normed
    normed = normed * g.number(gain.tensor)
    return normed if gain.bias is None else normed + g.number(gain.bias)


def do_part(g, r, x):
    return x[:, r.attrs["start"] : r.attrs["start"] + r.out.width]


def do_position(g, r):
    return g.number(r.attrs["weight"].tensor)[g.positions]


def do_add(g, r, a, b):
    return a + b


def do_mul(g, r, a, b):
    return a * b


def do_scale(g, r, a):
    return a * np.float32(r.attrs["by"])
