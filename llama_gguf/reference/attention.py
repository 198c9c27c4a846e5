"""Twins of nn/attention.py."""

import numpy as np


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


def do_temper(g, r, x):
    steps = np.floor((g.positions + r.attrs["offset"]) / r.attrs["length"])
    return x * (1 + r.attrs["scale"] * np.log1p(steps))[:, None].astype(np.float32)


def do_attend(g, r, q, k=None, v=None):
    """Scores, pattern and mix, under the names that a trace gives them too."""
    if k is None:
        k, v = g.kept[r.attrs["layer"]]
    g.kept[r.attrs["layer"]] = k, v
    spec, heads, n = g.caches[r.attrs["layer"]], r.attrs["heads"], len(q)
    q = q.reshape(n, heads, spec.k_dim)
    k = k.reshape(n, spec.heads, spec.k_dim)
    v = k[..., : spec.v_dim] if spec.shared else v.reshape(n, spec.heads, spec.v_dim)
    k, v = (np.repeat(x, heads // spec.heads, 1) for x in (k, v))
    back = g.positions[:, None] - g.positions[None]
    scores = bent(np.einsum("qhd,khd->hqk", q, k) * np.float32(r.attrs["scale"]), back, r.attrs)
    seen = visible(back, spec.window, r.attrs["causal"])
    if r.attrs["chunked"]:
        seen &= g.positions[:, None] // spec.window == g.positions[None] // spec.window
    scores = g.named("attn_scores", np.where(seen, scores, -np.inf).astype(np.float32))
    sink = g.number(r.attrs["sinks"].tensor)[:, None, None] if r.attrs["sinks"] else np.float32(-np.inf)
    top = np.maximum(scores.max(-1, keepdims=True), sink)
    weights = np.exp(scores - top)
    pattern = g.named("attn_pattern", weights / (weights.sum(-1, keepdims=True) + np.exp(sink - top)))
    return np.einsum("hqk,khd->qhd", pattern, v).reshape(n, -1)


def bent(scores, back, attrs):
    """(heads, queries, keys), capped and sloped."""
    if attrs["cap"]:
        scores = np.float32(attrs["cap"]) * np.tanh(scores / np.float32(attrs["cap"]))
    if attrs["slopes"]:
        scores = scores - np.float32(attrs["slopes"])[:, None, None] * abs(back).astype(np.float32)
    return scores


def visible(back, window, causal):
    """Which keys each query sees; `back`: how far they lie before it."""
    if not causal:
        return (abs(back) <= window // 2) | (not window)
    return (back >= 0) & ((back < window) | (not window))
