"""Norms, activations, positions, attention and gated networks: the words that most models are written in."""

from ..graph import CacheSpec


def rms_norm(x, w, heads=1):
    """x / sqrt(mean(x**2) + eps) * w, for each head alone if there are several."""
    w.vector(x.width // heads)
    x.need_heads(heads, x.width // heads)
    return x.graph.emit("rms_norm", x, width=x.width, name=w.name, gain=w, heads=heads)


def silu(x):
    return x.graph.emit("act", x, width=x.width, fn="silu")


def gelu(x):
    """The tanh form."""
    return x.graph.emit("act", x, width=x.width, fn="gelu")


def gated_mlp(w, x, act):
    """down(act(gate x) * up x)"""
    hidden = act(w.ffn_gate @ x) * (w.ffn_up @ x)
    x.graph.alias(f"{x.graph.scope}ffn_act", hidden)
    return w.ffn_down @ hidden


def rope(x, h, heads, turn=None):
    """Rotate pairs of each head by position * frequency (RoFormer, arXiv 2104.09864), as h.rope or `turn` says."""
    g, r = x.graph, turn or h.rope
    x.need_heads(heads, max(x.width // heads, r.dim))
    if r not in g.shared:
        g.shared[r] = g.emit(
            "angles", width=r.dim, name=f"rope.{len(g.shared)}", frequencies=r.frequencies(), magnitude=r.magnitude
        )
    angles = g.shared[r]
    return g.emit(
        "rope", x, angles, width=x.width, name=f"{x.name}_rope", heads=heads, pairs=r.dim // 2, neox=r.kind == "neox"
    )


def attend(q, k, v, h, layer, *, scale=None, window=0):
    """softmax(q k^T * scale) v over this sequence's positions up to the query's own, at most `window` back.

    v None: the first value_dim of a key are its value.
    """
    g = q.graph
    q.need_heads(h.heads, h.head_dim)
    k.need_heads(h.kv_heads, h.head_dim)
    if v is not None:
        v.need_heads(h.kv_heads, h.value_dim)
    g.cache(layer, CacheSpec(h.kv_heads, h.head_dim, h.value_dim, window or 0, shared=v is None))
    return g.emit(
        "attend",
        *(x for x in (q, k, v) if x is not None),
        width=h.heads * h.value_dim,
        name=f"{g.scope}attn_z",
        layer=layer,
        heads=h.heads,
        scale=h.attention_scale if scale is None else scale,
        window=window or 0,
    )


def attention(w, x, h, layer, *, turn=None, **how):
    """Project, norm heads if the file has such norms, rotate (as h.rope or `turn` says), attend, project back."""
    q, k, v = w.attn_q @ x, w.attn_k @ x, w.attn_v.precise(x)
    if "attn_q_norm" in w:
        q, k = rms_norm(q, w.attn_q_norm, h.heads), rms_norm(k, w.attn_k_norm, h.kv_heads)
    q, k = rope(q, h, h.heads, turn), rope(k, h, h.kv_heads, turn)
    return w.attn_output @ attend(q, k, v, h, layer, **how)


def output(w, x):
    """Logits, by the output matrix or, where the file has none, by the embedding (tied).

    Errors made here are not softened by anything after, and few rows pass: activations get 16 bits.
    """
    x.graph.alias("states", x)
    head = w.output if "output" in w else w.token_embd
    return head.precise(x, "output")
