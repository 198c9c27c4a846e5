"""Latent attention (DeepSeek V2, arXiv 2405.04434): keys and values of all heads are products of one short vector."""

from ..graph import need, wrong
from .attention import attend, rope, temper
from .core import rms_norm


def heads_part(x, heads, start, size):
    """Values start ... start + size of each head."""
    x.need_heads(heads, max(x.width // heads, start + size))
    return x.graph.emit("heads_part", x, width=heads * size, name=f"{x.name}_part", heads=heads, start=start)


def heads_join(a, b, heads, name, shared=False):
    """Each head of a with its own head of b behind it, or with the one that all share."""
    own = 1 if shared else heads
    a.need_heads(heads, a.width // heads)
    b.need_heads(own, b.width // own)
    width = a.width + heads * (b.width // own)
    return a.graph.emit("heads_join", a, b, width=width, name=f"{a.graph.scope}{name}", heads=heads, shared=shared)


def heads_matmul(w, x):
    """W[h] @ x[h] for each head h: a tensor (heads, rows, cols)."""
    shape = w.tensor.shape
    if len(shape) != 3:
        raise wrong(w.tensor.name, f"has shape {shape}, but a matrix for each head is expected")
    need(w.tensor, "matmul", shape)
    if w.bias is not None:
        raise wrong(w.bias.name, "is not part of latent attention; the file is some other structure")
    heads, rows, cols = shape
    if x.width != heads * cols:
        raise wrong(w.tensor.name, f"takes {heads} heads of {cols} values, but its input {x.name} has {x.width}")
    return x.graph.emit("heads_matmul", x, width=heads * rows, name=w.name, weight=w, terms=2)


def latent_attention(w, x, h, layer, *, turn=None, temper_by=None, **how):
    """Attention whose keys come from a latent of h.rank values and a rotated part that all heads share.

    With attn_k_b and attn_v_b the latent is the only key, and its own value: what made keys of it is applied to the
    queries instead. With attn_kv_b each head gets its keys and values. temper_by: scale and length, see `temper`.
    """
    dim = h.rope.dim
    q = w.attn_q_b @ rms_norm(w.attn_q_a @ x, w.attn_q_a_norm) if "attn_q_a" in w else w.attn_q @ x
    q.need_heads(h.heads, h.key_dim)
    q = temper(q, *temper_by) if temper_by else q
    plain, turned = heads_part(q, h.heads, 0, h.key_dim - dim), heads_part(q, h.heads, h.key_dim - dim, dim)
    turned = rope(turned, h, h.heads, turn)
    kv = w.attn_kv_a_mqa.precise(x)
    kv.need_heads(1, h.rank + dim)
    latent = rms_norm(heads_part(kv, 1, 0, h.rank), w.attn_kv_a_norm)
    shared = rope(heads_part(kv, 1, h.rank, dim), h, 1, turn)
    form = absorbed if "attn_k_b" in w else unfolded
    return w.attn_output @ form(w, plain, turned, latent, shared, h, layer, **how)


def absorbed(w, plain, turned, latent, shared, h, layer, **how):
    q = heads_join(heads_matmul(w.attn_k_b, plain), turned, h.heads, "queries")
    return heads_matmul(w.attn_v_b, attend(q, heads_join(latent, shared, 1, "keys"), None, h, layer, **how))


def unfolded(w, plain, turned, latent, shared, h, layer, **how):
    size = plain.width // h.heads
    kv = w.attn_kv_b.precise(latent)
    kv.need_heads(h.heads, size + h.value_dim)
    k = heads_join(heads_part(kv, h.heads, 0, size), shared, h.heads, "keys", shared=True)
    v = heads_part(kv, h.heads, size, h.value_dim)
    return attend(heads_join(plain, turned, h.heads, "queries"), k, v, h, layer, **how)
