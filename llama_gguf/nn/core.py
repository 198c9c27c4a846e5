"""Norms, feed-forward networks, parts of values, positions that are learned, logits."""

from ..graph import wrong


def rms_norm(x, w=None, heads=None):
    """x / sqrt(mean(x**2) + eps) * w, for each head alone if it has heads; w may differ from head to head."""
    if w is not None and w.bias is not None:
        w.vector(x.width // (heads or 1))  # says what is wrong
    return _norm("rms_norm", x, w, heads, x.graph.h.eps)


def layer_norm(x, w=None, heads=None):
    """(x - mean) / sqrt(variance + eps) * w + its bias (arXiv 1607.06450); w and bias where the file has them."""
    return _norm("layer_norm", x, w, heads, x.graph.h.layer_eps)


def _norm(kind, x, w, heads, eps):
    single, heads = heads is None, heads or 1
    size = x.width // heads
    each = w is not None and not single and w.tensor.shape == (heads, size)
    if w is not None:
        w.norm((heads, size) if each else (size,))
    x.need_heads(heads, size)
    name = w.name if w is not None else None
    return x.graph.emit(kind, x, width=x.width, name=name, gain=w, heads=heads, each=each, eps=eps)


def gated_mlp(w, x, act, within=None):
    """down(act(gate x) * up x), or down(within(...)); one matrix may hold gate and up, in this order."""
    if "ffn_gate" not in w and w.ffn_up.rows == 2 * w.ffn_down.cols:
        n = w.ffn_down.cols
        gate, up = w.parts("ffn_up", ffn_gate=n, ffn_up=n)
    else:
        gate, up = w.ffn_gate, w.ffn_up
    hidden = act(gate @ x) * (up @ x)
    x.graph.alias(f"{x.graph.scope}ffn_act", hidden)
    return w.ffn_down @ (within(hidden) if within else hidden)


def mlp(w, x, act):
    """down(act(up x))"""
    hidden = act(w.ffn_up @ x)
    x.graph.alias(f"{x.graph.scope}ffn_act", hidden)
    return w.ffn_down @ hidden


def part(x, start, width, name=None):
    """`width` columns of x from `start` on: a view, no copy is made."""
    if not 0 <= start <= start + width <= x.width:
        raise ValueError(f"columns {start} ... {start + width} are not within the {x.width} of {x.name}")
    return x.graph.emit("part", x, width=width, name=name, start=start)


def split(x, *widths):
    """x cut into views of these widths, which make up all of it."""
    if sum(widths) != x.width:
        raise wrong(x.tensor or x.name, f"gives {x.width} values, but {' + '.join(map(str, widths))} are expected")
    starts = [sum(widths[:i]) for i in range(len(widths))]
    return [part(x, start, width) for start, width in zip(starts, widths, strict=True)]


def learned_positions(w, x):
    """x + the row of position_embd that belongs to the position; the context ends with its rows."""
    table = w.position_embd
    rows = table.table(x.width)
    x.graph.most = min(x.graph.most or rows, rows)
    return x + x.graph.emit("position", width=x.width, name=table.name, weight=table)


def output(w, x):
    """Logits, by the output matrix or, where the file has none, by the embedding (tied).

    Errors made here are not softened by anything after, and few rows pass: activations get 16 bits.
    """
    x.graph.alias("states", x)
    head = w.output if "output" in w else w.token_embd
    return head.precise(x, "output")
