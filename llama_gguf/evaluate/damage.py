"""Two files of one model in lock-step on one text: where they part, layer by layer.

Both passes keep the same named values (as trace.run_with_cache does) and are compared name by name. Memory, besides the
models: both traces, and a few rows of logits; `nbytes` tells it.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from ..lens.head import Head
from ..pictures import coloured_tokens, heat_map, lines, markup, table, together
from ..trace import Trace
from .divergence import check_same_words
from .rows import finite, kl_of_logits
from .scores import pieces
from .windows import ROWS_BYTES, text_ids

PARTS = "attn_out", "resid_mid", "ffn_out", "resid_post"
"""Values of a layer that are compared, in the order of the pass; not every family has all."""

PARTED = 0.01
"""Relative error of the residual stream from which on the files count as parted."""


@dataclass
class QuantDamage:
    """Of each layer and token: what became of a model's values.

    names: the values compared ("blk.0.attn_out", ...); relative: float64 (names, tokens), |x - base| / |base|;
    cosine: the same shape. kls: float64 (layers, tokens), KL of what the head would make of each layer's residuals,
    nats; NaN without the lens. base_top, top: ids, the likeliest token at each place, of the base and of the model.
    """

    ids: list
    pieces: list
    names: list
    relative: np.ndarray
    cosine: np.ndarray
    kls: np.ndarray
    base_top: np.ndarray
    top: np.ndarray
    tops: dict  # id: text, of the likeliest tokens
    nbytes: int
    base: str = ""
    model: str = ""

    @property
    def layers(self):
        return [int(name.split(".")[1]) for name in self.names if name.endswith("resid_post")]

    def part(self, part, values=None):
        """(layers, tokens) of one part, "resid_post" or another; values: default the relative errors."""
        rows = [i for i, name in enumerate(self.names) if name.endswith(f".{part}")]
        return (self.relative if values is None else values)[rows]

    def first_divergence(self, above=PARTED):
        """(name, relative error) of the first value of the pass whose error over all tokens is above, or no number;
        None if there is none.
        """
        mean = self.relative.mean(axis=1)
        found = np.flatnonzero(~(mean <= above))
        return (self.names[found[0]], float(mean[found[0]])) if len(found) else None

    @property
    def flipped(self):
        """[(place, text of the base's likeliest token, of the model's)] where they differ."""
        return [
            (int(i), self.tops[int(self.base_top[i])], self.tops[int(self.top[i])])
            for i in np.flatnonzero(self.base_top != self.top)
        ]

    @property
    def kl(self):
        """Mean KL of the predictions, nats per token."""
        return float(self.kls[-1].mean())

    def rows(self):
        """[{"layer", "resid_relative", "cosine", "kl", and the relative error of each part}]"""
        cosine, kl, found = self.part("resid_post", self.cosine), self.kls.mean(axis=1), []
        by_part = {p: self.part(p) for p in PARTS}
        for i, layer in enumerate(self.layers):
            row = {"layer": layer} | {p: float(v[i].mean()) for p, v in by_part.items() if len(v) == len(self.layers)}
            found.append(row | {"cosine": float(cosine[i].mean()), "kl": float(kl[i])})
        return found

    def to_dict(self):
        """Everything in plain Python, ready for JSON; None where there is no number."""
        first = self.first_divergence()
        return finite({
            "base": self.base, "model": self.model, "ids": list(map(int, self.ids)), "tokens": self.pieces,
            "layers": self.rows(), "kl": self.kl,
            "first_divergence": None if first is None else {"name": first[0], "relative": first[1]},
            "flipped": [{"place": i, "base": a, "model": b} for i, a, b in self.flipped],
            "kl_per_token": self.kls[-1].tolist(), "nbytes": self.nbytes,
        })

    def __repr__(self):
        n = len(self.ids)
        return f"<QuantDamage KL {self.kl:.5f} over {n} tokens, {len(self.flipped)} predictions of {n} changed>"

    def _repr_html_(self):
        rows, first = self.rows(), self.first_divergence()
        layers = [r["layer"] for r in rows]
        errors = {p: [r[p] for r in rows] for p in PARTS if p in rows[0]}
        told = f"the stream is {100 * PARTED:g}% off from {first[0]} on" if first else "the files do not part"
        curves = [lines(errors, layers, "Relative error by layer", "layer", log=True)]
        if np.isfinite(self.kls).all():
            curves.append(lines({"KL": [r["kl"] for r in rows]}, layers, "KL seen through the head", "layer", "nats"))
        return together(
            markup(f"<b>KL {self.kl:.5f}</b> nats per token, {len(self.flipped)} of {len(self.ids)} predictions "
                   f"changed; {told}"),
            *curves,
            heat_map(self.part("resid_post"), [f"blk.{i}" for i in layers], self.pieces,
                     title="Relative error of the residual stream"),
            coloured_tokens(self.pieces, self.kls[-1], self.ids, title="KL of what is predicted after each token"),
            table(self.flipped, ("place", "base predicts", "this predicts"), most=40) if self.flipped else "",
        )


def quant_damage(model, base, text_or_ids, lens=True):
    """QuantDamage of `model` beside `base`, two files of one model, on a text that fits into one step.

    lens: also what the head would make of every layer's residuals, which costs a product with the output matrix for
    each layer of both.
    """
    check_same_words(model, base)
    if (model.h.layers, model.h.width) != (base.h.layers, base.h.width):
        raise ModelError(
            f"{model.path} has {model.h.layers} layers of {model.h.width}, {base.path} {base.h.layers} of "
            f"{base.h.width}: they are not files of one model"
        )
    ids = text_ids(base, text_or_ids)
    traces = [Trace(m, ids, is_compared) for m in (base, model)]
    for trace in traces:
        trace.complete()
    names = [value.name for value in traces[0].kept]
    compared = [compare(traces[0][name], traces[1][name]) for name in names]
    residuals = [[t[name] for name in names if name.endswith("resid_post")] for t in traces]
    kls, tops = through_head((base, model), residuals, lens)
    texts = {int(i): pieces(base, [int(i)])[0] for i in np.unique(tops)}
    relative, cosine = (np.array(x) for x in zip(*compared, strict=True))
    nbytes = sum(t.nbytes for t in traces)
    return QuantDamage(ids, pieces(base, ids), names, relative, cosine, kls, *tops, texts, nbytes,
                       str(base.path), str(model.path))


def is_compared(name):
    parts = name.split(".")
    return len(parts) == 3 and parts[0] == "blk" and parts[2] in PARTS


def compare(base, other):
    """(relative error, cosine) of each token's values. Where the base's are all zero, the error is zero or infinite,
    and the cosine NaN.
    """
    x, y = base.astype(np.float64), other.astype(np.float64)
    nx, ny = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where((nx == 0) & (ny == 0), 0.0, np.linalg.norm(y - x, axis=1) / nx)
        return relative, (x * y).sum(axis=1) / (nx * ny)


def through_head(models, residuals, lens):
    """(KL (layers, tokens), likeliest tokens (2, tokens)) of what the heads make of residuals, a few rows at a time."""
    layers, n = len(residuals[0]), len(residuals[0][0])
    few = max(1, min(256, ROWS_BYTES // (4 * models[0].n_vocab)))
    heads = [Head(m) for m in models]
    kls, tops = np.full((layers, n), np.nan), np.zeros((2, n), np.int64)
    for layer in range(layers) if lens else [layers - 1]:
        for at in range(0, n, few):
            made = [head.logits(some[layer][at : at + few]) for head, some in zip(heads, residuals, strict=True)]
            kls[layer, at : at + few] = [kl_of_logits(p, q)[0] for p, q in zip(*made, strict=True)]
            if layer == layers - 1:
                tops[:, at : at + few] = [rows.argmax(axis=1) for rows in made]
    return kls, tops
