"""Positions, attention and its cache."""

from ..errors import ModelError
from ..graph import CacheSpec
from .acts import clamp as clamped
from .core import rms_norm

OWN = object()  # the rotation that the hyperparameters state


def rope(x, h, heads, turn=None):
    """Rotate pairs of each head by position * frequency (RoFormer, arXiv 2104.09864), as h.rope or `turn` says."""
    g, r = x.graph, turn or h.rope
    x.need_heads(heads, max(x.width // heads, r.dim))
    if r not in g.shared:
        frequencies = r.frequencies(g.n_ctx)
        name = f"rope.{len(g.shared)}"
        g.shared[r] = g.emit("angles", width=r.dim, name=name, frequencies=frequencies, magnitude=r.magnitude)
    angles = g.shared[r]
    return g.emit(
        "rope", x, angles, width=x.width, name=f"{x.name}_rope", heads=heads, pairs=r.dim // 2, neox=r.kind == "neox"
    )


def temper(x, scale, length, offset=0):
    """x * (1 + scale * ln(1 + floor((position + offset) / length))): queries far back in a text grow a little."""
    attrs = {"scale": float(scale), "length": int(length), "offset": int(offset)}
    return x.graph.emit("temper", x, width=x.width, name=f"{x.name}_temper", **attrs)


def attend(
    q, k, v, h, layer, *, scale=None, window=0, cap=0.0, alibi=0.0, sinks=None, causal=True, chunked=False
):
    """softmax(q k^T * scale) v over this sequence's positions up to the query's own, at most `window` back.

    cap: scores become cap * tanh(score / cap). alibi: largest slope's exponent; scores fall by a head's slope with
    each position of distance (arXiv 2108.12409). sinks: a weight, one more score for each head that has no value
    (arXiv 2309.17453). causal False: later positions are seen too, and a window reaches half to either side. chunked:
    windows do not slide but stand side by side, and no position is seen across their borders. v None: the first
    value_dim of a key are its value. k None: keys and values are those of `layer`, an earlier one.
    """
    g = q.graph
    q.need_heads(h.heads, h.head_dim)
    if k is None:
        spec = CacheSpec(h.kv_heads, h.head_dim, h.value_dim, window or 0)
        check_shared(g, layer, spec)
    else:
        k.need_heads(h.kv_heads, h.head_dim)
        if v is not None:
            v.need_heads(h.kv_heads, h.value_dim)
        g.cache(layer, CacheSpec(h.kv_heads, h.head_dim, h.value_dim, window or 0, shared=v is None))
    if sinks is not None:
        sinks.vector(h.heads)
    g.causal = g.causal and causal
    return g.emit(
        "attend",
        *(x for x in (q, k, v) if x is not None),
        width=h.heads * h.value_dim,
        name=f"{g.scope}attn_z",
        layer=layer,
        heads=h.heads,
        scale=h.attention_scale if scale is None else scale,
        window=window or 0,
        cap=float(cap),
        slopes=slopes(h.heads, alibi) if alibi else None,
        sinks=sinks,
        causal=causal,
        chunked=chunked,
    )


def check_shared(g, layer, spec):
    """ModelError unless a layer keeps keys and values that another can read as these."""
    found, own = g.caches.get(layer), g.scope.removesuffix(".")
    if found is None:
        raise ModelError(f"{own} reads keys and values of blk.{layer}, which is not in this part of the model")
    if found != spec:
        raise ModelError(f"{own} reads keys and values of blk.{layer}, whose heads or window are others")


def slopes(heads, most):
    """ALiBi's slope of each head: powers of 2**(-most / n), n the power of two below `heads`; heads beyond n take the
    odd powers of the root of that.
    """
    n = 1 << heads.bit_length() - 1
    return tuple(2 ** (-most / n * (i + 1 if i < n else i - n + 0.5)) for i in range(heads))


def query_key_value(w, x, h):
    """q, k, v of x: by three matrices, or by one that holds them in this order (attn_qkv)."""
    if "attn_qkv" in w:
        rows = h.heads * h.head_dim, h.kv_heads * h.head_dim, h.kv_heads * h.value_dim
        wq, wk, wv = w.parts("attn_qkv", **dict(zip(("attn_q", "attn_k", "attn_v"), rows, strict=True)))
    else:
        wq, wk, wv = w.attn_q, w.attn_k, w.attn_v
    return wq @ x, wk @ x, wv.precise(x)


def attention(
    w, x, h, layer, *, turn=OWN, norm=rms_norm, normed="before", clamp=0.0, temper_by=None, within=None, **how
):
    """Project, norm queries and keys if the file has such norms, rotate, attend, project back.

    turn: a Rope, None for no rotation; default h.rope. norm: of queries and keys, each head's or the whole vector's
    as the file's weights are shaped, before or after they turn. clamp: largest size of what is projected.
    temper_by: scale and length, see `temper`. within: what happens to heads before they are projected. What else is
    given goes to `attend`.
    """
    turn = h.rope if turn is OWN else turn
    q, k, v = query_key_value(w, x, h)
    if clamp:
        q, k, v = (clamped(y, -clamp, clamp) for y in (q, k, v))
    if normed == "before":
        q, k = norm_heads(w, q, k, h, norm)
    if turn is not None:
        q, k = rope(q, h, h.heads, turn), rope(k, h, h.kv_heads, turn)
    if normed == "after":
        q, k = norm_heads(w, q, k, h, norm)
    if temper_by is not None:
        q = temper(q, *temper_by)
    if "attn_sinks" in w:
        how.setdefault("sinks", w.attn_sinks)
    z = attend(q, k, v, h, layer, **how)
    return w.attn_output @ (within(z) if within else z)


def shared_attention(w, x, h, layer, *, turn, source, key_is_value=False, **how):
    """Attention whose queries, keys and values are normed for each head, values without weights.

    source: the layer whose keys and values are read, this one or one before it. key_is_value: without a matrix for
    values, they are the keys as they are before norm and rotation.
    """
    q = rope(rms_norm(w.attn_q @ x, w.attn_q_norm, h.heads), h, h.heads, turn)
    if source != layer:
        rows = h.kv_heads * h.head_dim
        w.ignore(attn_k=(rows, x.width), attn_v=(rows, x.width), attn_k_norm=(h.head_dim,))
        return w.attn_output @ attend(q, None, None, h, source, **how)
    k = w.attn_k @ x
    v = k if key_is_value and "attn_v" not in w else w.attn_v.precise(x)
    k = rope(rms_norm(k, w.attn_k_norm, h.kv_heads), h, h.kv_heads, turn)
    return w.attn_output @ attend(q, k, rms_norm(v, heads=h.kv_heads), h, source, **how)


def norm_heads(w, q, k, h, norm):
    """Queries and keys through attn_q_norm and attn_k_norm, if there are such; the first tells whether of each head or
    of the whole vector.
    """
    if "attn_q_norm" not in w:
        return q, k
    if w.attn_q_norm.tensor.shape == (q.width,) != (h.head_dim,):
        return norm(q, w.attn_q_norm), norm(k, w.attn_k_norm)
    return norm(q, w.attn_q_norm, h.heads), norm(k, w.attn_k_norm, h.kv_heads)
