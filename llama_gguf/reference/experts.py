"""Twins of nn/experts.py."""

import numpy as np

LEAST = np.float32(2.0**-14)  # sums of weights are not divided by less


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def do_gate_probs(g, r, x):
    gating = r.attrs["gating"]
    if gating == "softmax":
        return softmax(x)
    if gating == "sigmoid":
        return 1 / (1 + np.exp(-x))
    if gating == "sqrt_softplus":
        return np.sqrt(np.logaddexp(x, np.zeros_like(x)))
    return x  # a softmax comes when experts are chosen


def do_topk(g, r, x):
    """Among equals the one with the lower number."""
    how, bias = r.attrs["routing"], r.attrs["bias"]
    scores = x if bias is None else x + g.number(bias.tensor)
    if how.groups > 1:
        groups = scores.reshape(len(x), how.groups, -1)
        best = np.sort(groups, -1)[..., -how.group_best :].sum(-1)
        kept = np.argsort(-best, -1, kind="stable")[:, : how.groups_used]
        seen = (np.arange(how.groups) == kept[..., None]).any(1)
        scores = np.where(seen[..., None], groups, -np.inf).reshape(x.shape)
    return np.argsort(-scores, -1, kind="stable")[:, : how.used].astype(np.float32)


def nearest(x, ids):
    """Each chosen expert's share in a softmax over itself and those within 2 %, but for the ones chosen before it."""
    x, weights = x.copy(), np.empty(ids.shape, x.dtype)
    for s, chosen in enumerate(ids.T):
        top = np.take_along_axis(x, chosen[:, None], -1)
        with np.errstate(invalid="ignore"):  # 0 / 0 is near
            far = (top - x) / np.maximum(np.abs(x), top) > np.float32(0.02)
        weights[:, s] = 1 / np.where(far, 0, np.exp(x - top)).sum(-1)
        np.put_along_axis(x, chosen[:, None], -np.inf, -1)
    return weights


def do_gate_weights(g, r, probs, ids):
    how = r.attrs["routing"]
    weights = np.take_along_axis(probs, ids.astype(int), -1)
    if how.gating == "chosen":
        weights = softmax(weights)
    if how.gating == "nearest":
        weights = nearest(probs, ids.astype(int))
    if how.norm:
        weights = weights / np.maximum(weights.sum(-1, keepdims=True), LEAST)
    return weights * np.float32(how.scale)


def do_experts_scale(g, r, weights, ids):
    return weights * g.number(r.attrs["weight"].tensor)[ids.astype(int)]


def each_expert(g, r, x, ids):
    """(tokens, slots, rows): W x + b, by the expert of each token and slot; x is (tokens, slots or 1, cols)."""
    w = r.attrs["weight"]
    matrices, bias = g.number(w.tensor), None if w.bias is None else g.number(w.bias)
    x = np.broadcast_to(x, (*ids.shape, x.shape[-1]))
    y = np.empty((*ids.shape, matrices.shape[1]), x.dtype)
    for e in np.unique(ids).astype(int):
        here = ids == e
        y[here] = x[here] @ matrices[e].T + (0 if bias is None else bias[e])
    return y


def do_experts(g, r, x, ids, before=None):
    y = each_expert(g, r, x[:, None], ids)
    return (y if before is None else y * before[..., None]).reshape(len(x), -1)


def do_experts_sum(g, r, x, ids, weights=None):
    y = each_expert(g, r, x.reshape(*ids.shape, -1), ids)
    return (y if weights is None else y * weights[..., None]).sum(1)


def do_swiglu_oai(g, r, gate, up):
    gate, up = np.minimum(gate, 7), np.clip(up, -7, 7)
    return gate / (1 + np.exp(np.float32(-1.702) * gate)) * (up + 1)


def do_gate_shared(g, r, y, x):
    return y / (1 + np.exp(-x @ g.number(r.attrs["weight"].tensor).reshape(-1, 1)))
