"""Qwen 3 Next: Qwen 3.5's forerunner, whose neighbouring heads of values share a head of keys (arXiv 2412.06464).

One matrix makes both gates of a head of keys' values, side by side; in the oldest files (ssm_in) one makes the queries,
keys, values and output gates as well.
"""

from ..graph import wrong
from ..nn import conv, delta_rule, heads_join, l2_norm, moe, rms_norm, sigmoid, silu, softplus, split, split_heads
from . import qwen35
from .qwen35 import gated_attention, head

NAMES = ("qwen3next",)

__all__ = ["NAMES", "block", "head", "hparams"]


def hparams(meta):
    return qwen35.hparams(meta) | {"experts": {"gating": "softmax", "norm": True, "shared": "gated"}}


def mixed_and_gate(w, x, h):
    """Queries, keys and values of all heads, in this order; the gate of what attention makes."""
    if "ssm_in" not in w:
        return w.attn_qkv @ x, w.attn_gate @ x
    each = h.inner // h.groups
    q, k, v, z = split_heads(w.ssm_in @ x, h.groups, h.state, h.state, each, each)
    return heads_join(heads_join(q, k, 1, "qk"), v, 1, "qkv"), z


def repeated(x, h, name):
    """Each head of keys as often as it has heads of values."""
    times, size = h.rank // h.groups, 1
    while size < times:
        x, size = heads_join(x, x, h.groups, f"{name}_{2 * size}"), 2 * size
    return x


def delta_net(w, x, h):
    times, keys = h.rank // h.groups, h.groups * h.state
    if h.rank % h.groups or times & (times - 1):
        raise wrong(w.ssm_out.tensor.name, f"serves {h.rank} heads, which are not 1, 2, 4 ... times {h.groups} of keys")
    mixed, gate = mixed_and_gate(w, x, h)
    q, k, v = split(silu(conv(mixed, w.ssm_conv1d, h.taps)), keys, keys, h.inner)
    q, k = (repeated(l2_norm(y, h.groups, h.eps), h, n) for y, n in ((q, "queries"), (k, "keys")))
    beta, dt = split_heads(w.ssm_ba @ x, h.groups, times, times)
    dt, beta = softplus(dt, w["ssm_dt.bias"]), sigmoid(beta)
    y = delta_rule(q, k, v, dt, beta, w["ssm_a"], heads=h.rank, groups=h.rank)
    return w.ssm_out @ (silu(gate) * rms_norm(y, w.ssm_norm, h.rank))


def block(w, x, h, layer):
    y = rms_norm(x, w.attn_norm)
    x = x + (delta_net(w, y, h) if h.is_recurrent[layer] else gated_attention(w, y, h, layer))
    return x + moe(w, rms_norm(x, w.post_attention_norm), h)
