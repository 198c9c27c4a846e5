"""Twins of nn/streams.py."""

import numpy as np


def do_times_vector(g, r, x):
    return x * g.number(r.attrs["weight"].tensor)


def do_sparse(g, r, x):
    cutoff = x.mean(-1, keepdims=True) + x.std(-1, keepdims=True) * np.float32(r.attrs["scale"])
    return np.maximum(x - cutoff, 0)


def do_combine(g, r, x, y, by=None):
    n, streams = len(x), r.attrs["streams"]
    by = np.broadcast_to(np.float32(r.attrs["fixed"]), (n, streams)) if by is None else by + np.float32(r.attrs["plus"])
    mixed = by.reshape(n, streams, -1) @ y.reshape(n, r.attrs["others"], -1)
    return x + mixed.reshape(x.shape)


def do_repeat(g, r, x):
    return np.tile(x, r.attrs["times"])


def do_match_rms(g, r, x, like):
    heads = x.reshape(len(x), r.attrs["heads"], -1)
    size = np.maximum(np.mean(heads * heads, -1, keepdims=True), np.float32(r.attrs["least"]))
    return (heads * np.sqrt(np.mean(like * like, -1)[:, None, None] / size)).reshape(x.shape)
