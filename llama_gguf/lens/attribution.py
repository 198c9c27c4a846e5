"""Direct logit attribution: how much each layer, head or neuron adds to one logit.

The residual stream is a sum, and the head is linear once the scale of its norm is held fixed (at the value it has in
this pass). So a logit is a sum too, of one number for the embedding, and for each branch, head or neuron that wrote
into the stream; plus a constant, from biases. Effects through later layers are not in it: that is what patching shows.
"""

from dataclasses import dataclass

import numpy as np

from .. import pictures
from ..errors import ModelError
from .head import one_token, pieces, read

BY = ("layer", "head", "neuron")
NO_SUM = "this model's residual stream is not the sum of its branches"


@dataclass(repr=False)
class Attribution:
    """`parts`: name of a value -> what it adds, one number, or one for each head or neuron of it."""

    token: str
    row: int
    parts: dict
    constant: float
    logit: float

    @property
    def total(self):
        """The sum of all: the logit, up to rounding."""
        return self.constant + sum(float(np.sum(x)) for x in self.parts.values())

    def top(self, n=10):
        """[(name, index of head or neuron, what it adds)], the largest sizes first."""
        flat = [(name, i, float(v)) for name, x in self.parts.items() for i, v in enumerate(np.atleast_1d(x))]
        return sorted(flat, key=lambda part: -abs(part[2]))[:n]

    def __repr__(self):
        return f"<Attribution of the logit {self.logit:.3f} of {self.token} at {self.row} to {len(self.parts)} parts>"

    def _repr_html_(self):
        title = f"what adds to the logit {self.logit:.2f} of {self.token} at position {self.row}"
        several = {name: x for name, x in self.parts.items() if np.ndim(x)}
        tops = self.top(24)
        bars = pictures.bars([v for *_, v in tops], [f"{n} {i}" if n in several else n for n, i, _ in tops], title)
        if not several or max(map(len, several.values())) > 256:
            return bars
        grid = np.full((len(several), max(map(len, several.values()))), np.nan)
        for i, x in enumerate(several.values()):
            grid[i, : len(x)] = x
        heads = pictures.heat_map(grid, list(several), [str(i) for i in range(grid.shape[1])], diverging=True)
        return pictures.together(bars, heads)


def attribution(model, text_or_ids, token=None, *, against=None, row=-1, by="layer"):
    """Attribution of the logit of `token` at a row, or of its difference to the logit of the token `against`.

    token: an id or a text of one token; None: the likeliest. by: "layer" (attention and network of each), "head"
    (attention apart by heads), "neuron" (networks apart by neurons; mixtures of experts stay whole). Of a capped logit,
    what is inside the cap.
    """
    if by not in BY:
        raise ValueError(f"by is one of {', '.join(BY)}, not {by!r}")
    model._need_decoder()
    ids = read(model, text_or_ids)
    if model.h.streams > 1:
        raise ModelError(NO_SUM, path=str(model.path))
    if not -len(ids) <= row < len(ids):
        raise ValueError(f"row must be one of {len(ids)} tokens, not {row}")
    row %= len(ids)
    matrix = MATRICES.get(by, "no such")
    makers = {r.name: r for r in model.graph.records if r.kind == "matmul" and r.name.endswith("." + matrix)}
    inner = {name for r in makers.values() for name in (r.name, r.inputs[0].name)}
    trace = model.trace(ids, lambda n: n in WHOLE or n in inner or n.endswith((".attn_out", ".ffn_out")))
    logits = trace.logits[row]
    token = int(logits.argmax()) if token is None else one_token(model, token)
    minus = None if against is None else one_token(model, against)
    direction, constant = logit_direction(model, trace, row, token, minus)
    parts = {"blk.0.resid_pre": float(trace["blk.0.resid_pre"][row] @ direction)}
    for layer in range(model.h.layers):
        parts |= of_layer(trace, row, layer, direction, makers.get(f"blk.{layer}.{matrix}"), matrix)
    made = trace["output"][row] * head_of(trace.session.graph)[2]
    logit = float(made[token] - (0 if minus is None else made[minus]))
    label = pieces(model, [token] if minus is None else [token, minus])
    found = Attribution(" - ".join(label), row, parts, constant, logit)
    if abs(found.total - logit) > 0.05 * max(1.0, abs(logit)):
        raise ModelError(NO_SUM, path=str(model.path))
    return found


WHOLE = ("blk.0.resid_pre", "resid_final", "output")
MATRICES = {"head": "attn_output", "neuron": "ffn_down"}  # what heads, or neurons, go through


def head_of(graph):
    """(record of the final norm, of the output matrix, what scales its product)."""
    makers = {r.out.id: r for r in graph.records}
    output = next(r for r in graph.records if r.name == "output")
    norm, scale, x = makers[output.inputs[0].id], 1.0, output.out
    if norm.kind not in ("rms_norm", "layer_norm"):
        raise ModelError(f"this model's head is no norm and matrix: {norm.kind} at {norm.where} comes before it")
    for r in graph.records[graph.records.index(output) + 1 :]:
        if r.kind == "scale" and r.inputs[0] is x:
            scale, x = scale * r.attrs["by"], r.out
    return norm, output, scale


def logit_direction(model, trace, row, token, minus=None):
    """(direction in the residual stream (width,), constant): their product and sum are the logit, at fixed scale."""
    norm, output, scale = head_of(trace.session.graph)
    weight, bias = (output.attrs["weight"].tensor, output.attrs["weight"].bias)
    w = weight.numpy(token).astype(np.float64)
    constant = 0.0 if bias is None else float(bias.numpy()[token])
    if minus is not None:
        w -= weight.numpy(minus)
        constant -= 0.0 if bias is None else float(bias.numpy()[minus])
    x, gain = trace["resid_final"][row].astype(np.float64), norm.attrs["gain"]
    if gain is not None and gain.bias is not None:
        constant += float(w @ gain.bias.numpy())
    w = w if gain is None else w * gain.tensor.numpy()
    if norm.kind == "layer_norm":
        w = (w - w.mean()) / np.sqrt(x.var() + norm.attrs["eps"])
    else:
        w = w / np.sqrt((x**2).mean() + norm.attrs["eps"])
    return w * scale, constant * scale


def of_layer(trace, row, layer, direction, maker, matrix):
    """What the branches of a layer add: one number each, or one for each head or neuron that goes through `maker`."""
    found, scope = {}, f"blk.{layer}."
    for name, by in (("attn_out", "attn_output"), ("ffn_out", "ffn_down")):
        if scope + name not in trace.session.names:
            continue
        found[scope + name] = float(trace[scope + name][row] @ direction)
        if maker is not None and by == matrix and is_scaled(trace.session.graph, scope + name, maker):
            del found[scope + name]
            found |= apart(trace, row, layer, direction, maker, scope + name)
    return found


def is_scaled(graph, branch, maker):
    """Is a branch the product of this matrix, but for norms and factors?"""
    makers, x = {r.out.id: r for r in graph.records}, graph.names[branch]
    while x.name != maker.name:
        if makers[x.id].kind not in ("rms_norm", "scale"):
            return False
        x = makers[x.id].inputs[0]
    return True


def apart(trace, row, layer, direction, maker, branch):
    """What each head or neuron adds by way of a matrix, and what its bias adds.

    Norms and factors between the product and the branch, at fixed scale, multiply each number by what they multiply it
    by in this pass.
    """
    weight, bias = maker.attrs["weight"].tensor, maker.attrs["weight"].bias
    product, out, x = (trace[name][row].astype(np.float64) for name in (maker.name, branch, maker.inputs[0].name))
    factor = np.divide(out, product, out=np.zeros_like(out), where=product != 0)
    inner = x * (weight.numpy().T @ (direction * factor))
    if maker.name.endswith("attn_output"):
        inner = inner.reshape(trace.model.h.layer(layer).heads, -1).sum(-1)
    added = {} if bias is None else {f"{maker.name}.bias": float((direction * factor) @ bias.numpy())}
    return {f"{branch}.{'heads' if maker.name.endswith('attn_output') else 'neurons'}": inner} | added
