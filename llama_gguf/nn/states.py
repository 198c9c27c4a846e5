"""Recurrent layers: what they remember of a sequence is a state of fixed size instead of keys and values.

A layer that reads a state also leaves it, changed by each token in turn; before the first token it is zero.
"""

import math

from ..graph import StateSpec, need, wrong
from .acts import sigmoid, silu
from .core import rms_norm, split
from .latent import heads_part

UNIT = 32  # columns of a state that stand together (pyx/isa/states.pxi)


def split_heads(x, heads, *widths):
    """Each head of x cut into parts of these widths: the parts of all heads together, one value a part."""
    x.need_heads(heads, sum(widths))
    starts = [sum(widths[:i]) for i in range(len(widths))]
    return [heads_part(x, heads, start, width) for start, width in zip(starts, widths, strict=True)]


def softplus(x, bias=None):
    """log(1 + e**(x + bias))"""
    if bias is not None:
        flat(bias, x.width)
    return x.graph.emit("softplus", x, width=x.width, weight=bias)


def l2_norm(x, heads, eps):
    """x / sqrt(sum(x**2) + eps) for each head alone."""
    return x.graph.emit("l2_norm", x, width=x.width, heads=heads, eps=eps)


def conv(x, w, taps):
    """y[t] = sum of w[i] * x[t - taps + 1 + i] (+ bias), each channel by itself and over past tokens only."""
    need(w.tensor, "norm", (x.width, taps))
    if w.bias is not None:
        need(w.bias, "bias", (x.width,))
    x.graph.state(w.name, StateSpec((taps - 1) * whole(x.width)))
    return x.graph.emit("conv", x, width=x.width, name=w.name, weight=w, taps=taps, state=w.name)


def scan(x, dt, b, c, a, d, *, heads, groups=1):
    """Mamba's selective scan (arXiv 2312.00752, 2405.21060): each channel x has a state s of as many numbers as b.

    s = e**(dt * a) * s + dt * x * b;  y = s . c + d * x, token by token. `heads` of neighbouring channels share dt, a
    and d; heads of one group share b and c. With as many heads as channels, each number of the state has its own a.
    """
    g, state, size = x.graph, b.width // groups, x.width // heads
    x.need_heads(heads, size), b.need_heads(groups, state), c.need_heads(groups, state), dt.need_heads(heads, 1)
    flat(a, heads * state if size == 1 else heads), flat(d, heads)
    if heads % groups:
        raise wrong(b.tensor, f"has {groups} groups, which do not divide {heads} heads")
    name = f"{g.scope}scan"
    g.state(name, StateSpec(state * (whole(x.width) if size == 1 else heads * whole(size))))
    return g.emit("scan", x, dt, b, c, width=x.width, name=name, a=a, d=d, heads=heads, groups=groups, state=name)


def delta_rule(q, k, v, dt, beta, a, *, heads, groups):
    """Gated DeltaNet (arXiv 2412.06464): each head has a matrix S that maps keys to values.

    S = e**(dt * a) * S;  S += beta * (v - S k) k^T;  y = S q / sqrt(width of a key), token by token. Value head i reads
    the queries and keys of group i % groups.
    """
    g, key, value = q.graph, q.width // groups, v.width // heads
    q.need_heads(groups, key), k.need_heads(groups, key), v.need_heads(heads, value)
    dt.need_heads(heads, 1), beta.need_heads(heads, 1), flat(a, heads)
    if heads % groups:
        raise wrong(v.tensor, f"has {heads} heads, which {groups} heads of keys do not divide")
    name = f"{g.scope}delta"
    g.state(name, StateSpec(heads * key * whole(value)))
    attrs = {"a": a, "heads": heads, "groups": groups, "scale": key**-0.5, "state": name}
    return g.emit("delta", q, k, v, dt, beta, width=v.width, name=name, **attrs)


def short_conv(w, x, h):
    """c * conv(b * u), where one product makes b, c and u."""
    b, c, u = split(w["shortconv.in_proj"] @ x, x.width, x.width, x.width)
    return w["shortconv.out_proj"] @ (c * conv(b * u, w["shortconv.conv"], h.taps))


def mamba(w, x, h):
    """Mamba: every channel has its own step, and `h.state` rates of decay (arXiv 2312.00752)."""
    u, z = split(w.ssm_in @ x, h.inner, h.inner)
    u = silu(conv(u, w.ssm_conv1d, h.taps))
    dt, b, c = split(w.ssm_x @ u, h.rank, h.state, h.state)
    if "ssm_dt_norm" in w:
        dt, b, c = rms_norm(dt, w.ssm_dt_norm), rms_norm(b, w.ssm_b_norm), rms_norm(c, w.ssm_c_norm)
    elif h.normed:
        dt, b, c = rms_norm(dt), rms_norm(b), rms_norm(c)
    y = scan(u, softplus(w.ssm_dt @ dt), b, c, w["ssm_a"], w["ssm_d"], heads=h.inner)
    return w.ssm_out @ (silu(z) * y)


def mamba2(w, x, h):
    """Mamba-2: channels stand in `h.rank` heads with one rate of decay each (arXiv 2405.21060)."""
    shared = h.groups * h.state
    z, u, dt = split(w.ssm_in @ x, h.inner, h.inner + 2 * shared, h.rank)
    u, b, c = split(silu(conv(u, w.ssm_conv1d, h.taps)), h.inner, shared, shared)
    dt = softplus(dt, w["ssm_dt.bias"])
    y = silu(z) * scan(u, dt, b, c, w["ssm_a"], w["ssm_d"], heads=h.rank, groups=h.groups)
    return w.ssm_out @ (rms_norm(y, w.ssm_norm, h.groups) if "ssm_norm" in w else y)


def delta_net(w, x, h):
    """Gated DeltaNet behind a convolution; keys and queries of length one, the output normed and gated."""
    keys = h.groups * h.state
    q, k, v = split(silu(conv(w.attn_qkv @ x, w.ssm_conv1d, h.taps)), keys, keys, h.inner)
    q, k = l2_norm(q, h.groups, h.eps), l2_norm(k, h.groups, h.eps)
    dt, beta = softplus(w.ssm_alpha @ x, w["ssm_dt.bias"]), sigmoid(w.ssm_beta @ x)
    y = delta_rule(q, k, v, dt, beta, w["ssm_a"], heads=h.rank, groups=h.groups)
    return w.ssm_out @ (silu(w.attn_gate @ x) * rms_norm(y, w.ssm_norm, h.rank))


def flat(w, size):
    """Check that a tensor has `size` numbers, whatever its shape, in a type that is read as they are."""
    if math.prod(w.tensor.shape) != size:
        raise wrong(w.tensor.name, f"has shape {w.tensor.shape}, but {size} numbers are expected")
    if "norm" not in w.tensor.type.roles:
        raise wrong(w.tensor.name, f"is {w.tensor.type.name}, a type that cannot serve here")


def whole(width):
    """Columns of a state with those that fill its last unit."""
    return -(-width // UNIT) * UNIT
