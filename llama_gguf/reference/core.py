"""Twins of nn/core.py. One function a record kind: (graph, record, *input arrays (rows, width)) -> array."""

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
    normed = heads / np.sqrt(np.mean(heads * heads, -1, keepdims=True) + np.float32(g.h.eps))
    if r.attrs["gain"] is None:
        return normed.reshape(x.shape)
    gain = g.number(r.attrs["gain"].tensor)
    return (normed * (gain.reshape(normed.shape[1:]) if r.attrs.get("apart") else gain)).reshape(x.shape)


def do_add(g, r, a, b):
    return a + b


def do_mul(g, r, a, b):
    return a * b


def do_scale(g, r, a):
    return a * np.float32(r.attrs["by"])


def do_act(g, r, x):
    if r.attrs["fn"] == "silu":
        return x / (1 + np.exp(-x))
    if r.attrs["fn"] == "sigmoid":
        return 1 / (1 + np.exp(-x))
    return 0.5 * x * (1 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x**3)))


def do_angles(g, r):
    angle = g.positions[:, None] * r.attrs["frequencies"]
    turned = np.concatenate([np.cos(angle), np.sin(angle)], -1) * r.attrs["magnitude"]
    return turned.astype(np.float32)


def do_rope(g, r, x, angles):
    n, heads = r.attrs["pairs"], r.attrs["heads"]
    y = x.reshape(len(x), heads, -1).copy()
    cos, sin = angles[:, None, :n], angles[:, None, n:]
    first, second = (slice(0, n), slice(n, 2 * n)) if r.attrs["neox"] else (slice(0, 2 * n, 2), slice(1, 2 * n, 2))
    p, q = y[..., first].copy(), y[..., second].copy()
    y[..., first], y[..., second] = p * cos - q * sin, q * cos + p * sin
    return y.reshape(x.shape)


def do_attend(g, r, q, k, v):
    """Scores, pattern and mix, under the names that a trace gives them too."""
    spec, heads, n = g.caches[r.attrs["layer"]], r.attrs["heads"], len(q)
    q = q.reshape(n, heads, spec.k_dim)
    k = np.repeat(k.reshape(n, spec.heads, spec.k_dim), heads // spec.heads, 1)
    v = np.repeat(v.reshape(n, spec.heads, spec.v_dim), heads // spec.heads, 1)
    back = g.positions[:, None] - g.positions[None]
    seen = (back >= 0) & ((back < spec.window) | (not spec.window))
    scores = np.einsum("qhd,khd->hqk", q, k) * np.float32(r.attrs["scale"])
    scores = g.named("attn_scores", np.where(seen, scores, -np.inf).astype(np.float32))
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    pattern = g.named("attn_pattern", weights / weights.sum(-1, keepdims=True))
    return np.einsum("hqk,khd->qhd", pattern, v).reshape(n, -1)
