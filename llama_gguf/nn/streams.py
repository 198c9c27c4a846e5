"""Embeddings of their own for each layer, and several residual streams of which a layer works on one (Gemma 3n).

Streams stand side by side in one value, `h.streams` of `h.width`. The layer predicts all of them from the one that is
active, works on that, and corrects the others by what came of it (AltUp, arXiv 2301.13310).
"""

from ..graph import need, wrong
from .acts import gelu, tanh
from .core import part, rms_norm, split
from .latent import heads_join, heads_matmul

LEAST = 1e-5  # the smallest mean square that streams are divided by


def layer_inputs(w, x, h):
    """x; beside it, for each layer `h.per_layer` numbers of each token, from a table and from the embedding x."""
    g, table, width = x.graph, w.per_layer_token_embd, h.layers * h.per_layer
    rows = table.table(width)
    if rows != w.token_embd.rows:
        raise wrong(table.tensor.name, f"has {rows} rows, but the vocabulary has {w.token_embd.rows} tokens")
    own = g.emit("embed", width=width, name=table.name, weight=table) * h.per_layer**0.5
    made = rms_norm(w.per_layer_model_proj.precise(x) * h.width**-0.5, w.per_layer_proj_norm, h.layers)
    g.per_layer = (made + own) * 0.5**0.5
    return x


def layer_input(w, x, h, layer):
    """What a layer adds of its own numbers of each token, which x opens and closes."""
    own = part(x.graph.per_layer, layer * h.per_layer, h.per_layer, f"{x.graph.scope}layer_input")
    return rms_norm(w.proj @ (gelu(w.inp_gate @ x) * own), w.post_norm)


def times_vector(x, w):
    """x * w, number by number, or all by the only one that w has."""
    need(w.tensor, "norm", (1,) if w.tensor.shape == (1,) else (x.width,))
    return x.graph.emit("times_vector", x, width=x.width, name=w.name, weight=w)


def sparse(x, deviations):
    """max(x - cutoff, 0): what lies so many standard deviations of a row above its mean (Gemma 3n's top-k)."""
    return x.graph.emit("sparse", x, width=x.width, scale=float(deviations))


def laurel(w, x):
    """x + a step of low rank (arXiv 2411.07501)."""
    return x + rms_norm(w.laurel_r @ (w.laurel_l @ x), w.laurel_post_norm)


def stream(x, h):
    """The stream that is active, a view. What a layer adds to it is added to the residual."""
    active = part(x, h.active * h.width, h.width, f"{x.graph.scope}active")
    x.graph.stream.add(active.id)
    return active


def expand_streams(w, x, h):
    """x, and behind it the other streams: products of x, brought to its root mean square."""
    n = h.streams - 1
    others = heads_matmul(w.altup_proj, repeat(x, n))
    return heads_join(x, match_rms(others, x, n), 1, "streams")


def merge_streams(w, x, h):
    """The mean of the first stream and of products of the others, brought to that of the first."""
    n = h.streams - 1
    first, rest = split(x, h.width, n * h.width)
    total = first
    for other in split(match_rms(heads_matmul(w.altup_unembd_proj, rest), first, n), *[h.width] * n):
        total = total + other
    return total * (1 / h.streams)


def predict(w, x, h):
    """Each stream plus a mix of all, by a matrix that the active one makes."""
    return combine(x, w.altup_predict_coef.precise(modalities(w, stream(x, h), h)), x, h)


def correct(w, x, made, h):
    """Each predicted stream plus its share of what the layer `made` beyond its prediction."""
    surprise = made + stream(x, h) * -1.0
    return combine(x, w.altup_correct_coef.precise(modalities(w, made, h)), surprise, h, plus=1.0)


def to_others(x, y, h):
    """y added to all streams but the first."""
    return combine(x, None, y, h, fixed=(0.0, *[1.0] * (h.streams - 1)))


def modalities(w, x, h):
    """How much of each kind a token is, -1 ... 1."""
    return tanh(w.altup_router.precise(rms_norm(x, w.altup_router_norm) * (1 / h.width)))


def combine(x, by, y, h, plus=0.0, fixed=None):
    """x[i] + sum of (plus + by[i, j]) y[j], for streams i of x and j of y. `fixed`: the same `by` for all tokens."""
    others = y.width // h.width
    x.need_heads(h.streams, h.width)
    if by is not None:
        by.need_heads(h.streams, others)
    inputs = (x, y) if by is None else (x, y, by)
    attrs = {"streams": h.streams, "others": others, "plus": plus, "fixed": fixed}
    return x.graph.emit("combine", *inputs, width=x.width, name=f"{x.graph.scope}streams", **attrs)


def repeat(x, n):
    """n times x, side by side."""
    return x.graph.emit("repeat", x, width=n * x.width, times=n)


def match_rms(x, like, heads):
    """Each head of x, scaled to the root mean square of `like`."""
    x.need_heads(heads, like.width)
    return x.graph.emit("match_rms", x, like, width=x.width, heads=heads, least=LEAST)
