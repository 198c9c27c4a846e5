"""Qwen 3.5: three layers of gated DeltaNet to each one of attention, whose output is gated too (arXiv 2412.06464).

Queries come with their gates, head by head; only the first dims of a head turn. The norm before the feed-forward
network, or the mixture of experts with a shared one, is called post_attention_norm.
"""

from ..hparams import flags, state_space
from ..nn import attend, delta_net, moe_or_mlp, output, rms_norm, rope, sigmoid, split_heads
from ..rope import sections

NAMES = ("qwen35", "qwen35moe")


def hparams(meta):
    layers, every = meta.int(".block_count", lo=1), meta.int(".full_attention_interval", 4, lo=1)
    recurrent = [(i + 1) % every != 0 for i in range(layers)]
    if meta.has(".attention.recurrent_layers"):
        recurrent = flags(meta, ".attention.recurrent_layers", layers, "recurrent")
    sections(meta)
    experts = {"gating": "softmax", "norm": True, "shared": "gated"} if meta.arch == "qwen35moe" else None
    return state_space(meta) | {"rope": "neox", "is_recurrent": recurrent, "experts": experts}


def gated_attention(w, x, h, layer):
    q, gate = split_heads(w.attn_q @ x, h.heads, h.head_dim, h.head_dim)
    q, k = rms_norm(q, w.attn_q_norm, h.heads), rms_norm(w.attn_k @ x, w.attn_k_norm, h.kv_heads)
    z = attend(rope(q, h, h.heads), rope(k, h, h.kv_heads), w.attn_v.precise(x), h, layer)
    return w.attn_output @ (sigmoid(gate) * z)


def block(w, x, h, layer):
    y = rms_norm(x, w.attn_norm)
    x = x + (delta_net(w, y, h) if h.is_recurrent[layer] else gated_attention(w, y, h, layer))
    return x + moe_or_mlp(w, rms_norm(x, w.post_attention_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
