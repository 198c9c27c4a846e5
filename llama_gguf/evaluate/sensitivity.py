"""Which tensors suffer most from fewer bits: each is changed alone, and the damage measured."""

import math
import re
from dataclasses import dataclass, field

import numpy as np

from ..errors import ModelError
from ..gguf import TYPES
from ..pictures import bars, heat_map, table, together
from ..weights import PRODUCTS
from .rows import finite, kl_of_logits
from .swap import converted, with_tensor
from .windows import Windows, rows_of, session_for

TOKENS = 128


@dataclass
class Sensitivity:
    """values: {tensor name: damage}; `measure` says what: "kl" (nats per token) or "error" (root mean square error
    over root mean square, weighted by importance where given).
    """

    type: str
    measure: str
    values: dict = field(default_factory=dict)
    skipped: dict = field(default_factory=dict)  # name: why

    def matrix(self):
        """(float64 (layers, kinds) with NaN where there is none, layers, kinds) of the tensors in layers."""
        places = {name: place(name) for name in self.values}
        layers = sorted({p[0] for p in places.values() if p[0] is not None})
        kinds = list(dict.fromkeys(p[1] for p in places.values() if p[0] is not None))
        out = np.full((len(layers), len(kinds)), np.nan)
        for name, (layer, kind) in places.items():
            if layer is not None:
                out[layers.index(layer), kinds.index(kind)] = self.values[name]
        return out, layers, kinds

    def worst(self, n=10):
        """[(name, damage)], the most sensitive first."""
        return sorted(self.values.items(), key=lambda item: -item[1])[:n]

    def to_dict(self):
        """Ready for JSON; None where there is no number."""
        return finite({"type": self.type, "measure": self.measure, "values": self.values, "skipped": self.skipped})

    def __repr__(self):
        return f"<Sensitivity of {len(self.values)} tensors to {self.type}, by {self.measure}>"

    def _repr_html_(self):
        values, layers, kinds = self.matrix()
        what = "KL, nats per token" if self.measure == "kl" else "relative error"
        title = f"One tensor at a time as {self.type}: {what}"
        pictures = [heat_map(values, [f"blk.{i}" for i in layers], kinds, title=title)] if values.size else []
        worst = self.worst()
        pictures.append(bars([v for _, v in worst], [n for n, _ in worst], title="The most sensitive"))
        if self.skipped:
            pictures.append(table(self.skipped.items(), ("left out", "because")))
        return together(*pictures)


def place(name):
    """(layer or None, kind) of a tensor's name."""
    found = re.fullmatch(r"blk\.(\d+)\.(.+?)(?:\.weight)?", name)
    return (int(found[1]), found[2]) if found else (None, name.removesuffix(".weight"))


def candidates(model, type, pattern=None):
    """({name: Tensor} of matrices that this type can hold, {name: why not} of the other matrices)."""
    kind = TYPES.get(str(type).upper())
    if kind is None:
        raise ModelError(f"there is no tensor type {type}")
    used = {record.attrs["weight"].tensor.name for record in model.graph.records if record.kind in PRODUCTS}
    used = {name.partition("[")[0] for name in used}
    tensors = model.tensors if pattern is None else model.tensors[pattern]
    tensors = tensors.values() if hasattr(tensors, "values") else [tensors]
    fit, skipped = {}, {}
    for tensor in tensors:
        if tensor.name not in used:
            continue
        if tensor.shape[-1] % kind.block:
            skipped[tensor.name] = f"rows of {tensor.shape[-1]} are not whole blocks of {kind.block}"
        else:
            fit[tensor.name] = tensor
    return fit, skipped


def stream(model, type, text_or_ids=None, measure="kl", pattern=None, tokens=TOKENS, weights=None):
    """The Sensitivity after each tensor; the last one is the answer.

    type: the type that each matrix gets in turn. pattern: a name or pattern of tensors; None: every matrix that
    multiplies. measure: "kl" runs the text's first `tokens` tokens with each change (and keeps tokens * n_vocab
    floats), "error" only compares weights. weights: {name: importance of its columns}.
    """
    if measure not in ("kl", "error"):
        raise ValueError(f'measure is "kl" or "error", not {measure!r}')
    if measure == "kl" and text_or_ids is None:
        raise ValueError('a text is wanted to measure by "kl"')
    fit, skipped = candidates(model, type, pattern)
    if not fit:
        raise ModelError(f"no matrix can be {type}: {'; '.join(f'{n}: {w}' for n, w in list(skipped.items())[:2])}")
    result, weights = Sensitivity(str(type).upper(), measure, skipped=skipped), weights or {}
    damage = Damage(model, text_or_ids, tokens) if measure == "kl" else relative_error
    for name, tensor in fit.items():
        result.values[name] = damage(tensor, type, weights.get(name))
        yield result


class Damage:
    """KL divergence of the model with one tensor changed, on one text."""

    def __init__(self, model, text_or_ids, tokens):
        self.model, ids = model, Windows(model, text_or_ids).tokens[:tokens]
        if len(ids) < 2:
            raise ModelError("a text of two tokens at least is wanted")
        self.ids = list(ids)
        self.base = [row for rows in self.rows(model) for row in rows]

    def rows(self, model):
        return rows_of(session_for(model, len(self.ids)), self.ids, 0)

    def __call__(self, tensor, type, weights):
        changed = with_tensor(self.model, tensor.name, type, weights=weights)
        rows = (row for rows in self.rows(changed) for row in rows)
        return float(np.mean([kl_of_logits(p, q)[0] for p, q in zip(self.base, rows, strict=True)]))


def relative_error(tensor, type, weights=None):
    """Root mean square error of a tensor in another type over its root mean square, columns weighted."""
    new, step = converted(tensor, type, weights=weights), max(1, (1 << 22) // tensor.shape[-1])
    off = size = 0.0
    for at in range(0, len(tensor.raw), step):
        x, y = (t._dequantize(t.raw[at : at + step]).astype(np.float64) for t in (tensor, new))
        w = 1.0 if weights is None else np.asarray(weights, np.float64)
        off, size = off + float((w * (x - y) ** 2).sum()), size + float((w * x**2).sum())
    return math.sqrt(off / size) if size else 0.0
