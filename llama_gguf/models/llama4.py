"""Llama 4, its text part: three layers of four see chunks of 8192 positions; the fourth sees all and turns none.

Queries of that fourth layer grow with the logarithm of their position. In Scout each head of turned q and k is normed,
without weights. One of the experts is added to a shared one; its sigmoid weighs its input. Layers may be dense.
"""

from ..hparams import windows
from ..nn import attend, moe_or_mlp, output, query_key_value, rms_norm, rope, temper

NAMES = ("llama4",)
CHUNK = 8192


def hparams(meta):
    if meta.int(".attention.sliding_window", CHUNK) != CHUNK:
        raise meta.error(".attention.sliding_window", f"is not {CHUNK}, the only chunk that is known")
    return {
        "rope": "norm",
        "experts": {"gating": "sigmoid", "before": True, "shared": "plain"},
        "windows": windows(meta, 4, CHUNK),
        "norms": meta.int(".expert_count", 0) != 128,  # the larger one, Maverick, goes without
    }


def block(w, x, h, layer):
    q, k, v = query_key_value(w, rms_norm(x, w.attn_norm), h)
    local = h.windows[layer]
    if local:
        q, k = rope(q, h, h.heads), rope(k, h, h.kv_heads)
        if h.norms:
            q, k = rms_norm(q, heads=h.heads), rms_norm(k, heads=h.kv_heads)
    else:
        q = temper(q, 0.1, CHUNK, 1)
    x = x + w.attn_output @ attend(q, k, v, h, layer, window=local, chunked=bool(local))
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
