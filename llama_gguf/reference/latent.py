"""Twins of nn/latent.py."""

import numpy as np


def do_heads_part(g, r, x):
    heads, start = r.attrs["heads"], r.attrs["start"]
    size = r.out.width // heads
    return x.reshape(len(x), heads, -1)[..., start : start + size].reshape(len(x), -1)


def do_heads_join(g, r, a, b):
    heads = r.attrs["heads"]
    a, b = a.reshape(len(a), heads, -1), b.reshape(len(b), 1 if r.attrs["shared"] else heads, -1)
    return np.concatenate([a, np.broadcast_to(b, (*a.shape[:2], b.shape[-1]))], -1).reshape(len(a), -1)


def do_heads_matmul(g, r, x):
    w = g.number(r.attrs["weight"].tensor)
    return np.einsum("thc,hrc->thr", x.reshape(len(x), len(w), -1), w).reshape(len(x), -1)
