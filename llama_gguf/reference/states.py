"""Twins of nn/states.py. A sequence begins with the first row, so states begin at zero."""

import numpy as np


def do_softplus(g, r, x):
    bias = r.attrs["weight"]
    return np.logaddexp(x if bias is None else x + g.number(bias.tensor).reshape(-1), x.dtype.type(0))


def do_l2_norm(g, r, x):
    heads = x.reshape(len(x), r.attrs["heads"], -1)
    return (heads / np.sqrt(np.sum(heads * heads, -1, keepdims=True) + x.dtype.type(r.attrs["eps"]))).reshape(x.shape)


def do_conv(g, r, x):
    w = r.attrs["weight"]
    taps, past = g.number(w.tensor), np.concatenate([np.zeros((r.attrs["taps"] - 1, x.shape[1]), x.dtype), x])
    y = sum(taps[:, i] * past[i : i + len(x)] for i in range(r.attrs["taps"]))
    return y if w.bias is None else y + g.number(w.bias)


def do_scan(g, r, x, dt, b, c):
    heads, groups, n = r.attrs["heads"], r.attrs["groups"], len(x)
    a, d = g.number(r.attrs["a"].tensor).reshape(heads, 1, -1), g.number(r.attrs["d"].tensor).reshape(heads, 1)
    x = x.reshape(n, heads, -1)
    b, c = (np.repeat(v.reshape(n, groups, 1, -1), heads // groups, 1) for v in (b, c))
    dt, y = dt[:, :, None, None], np.empty_like(x)
    state = np.zeros((heads, x.shape[2], b.shape[3]), x.dtype)
    for t in range(n):
        state = state * np.exp(dt[t] * a) + dt[t] * x[t, :, :, None] * b[t]
        y[t] = (state * c[t]).sum(-1) + d * x[t]
    return y.reshape(n, -1)


def do_delta(g, r, q, k, v, dt, beta):
    heads, groups, n = r.attrs["heads"], r.attrs["groups"], len(q)
    q, k = (np.tile(x.reshape(n, groups, -1), (1, heads // groups, 1)) for x in (q, k))
    v, decay = v.reshape(n, heads, -1), np.exp(dt * g.number(r.attrs["a"].tensor).reshape(-1))
    y, state = np.empty_like(v), np.zeros((heads, v.shape[2], k.shape[2]), q.dtype)
    for t in range(n):
        state = state * decay[t, :, None, None]
        change = beta[t, :, None] * (v[t] - np.einsum("hvk,hk->hv", state, k[t]))
        state = state + change[..., None] * k[t, :, None]
        y[t] = np.einsum("hvk,hk->hv", state, q[t]) * q.dtype.type(r.attrs["scale"])
    return y.reshape(n, -1)
