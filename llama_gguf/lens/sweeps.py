"""What depends on what: one value at a time is put out, or taken over from another text, and the effect is measured."""

from dataclasses import dataclass

import numpy as np

from .. import pictures
from ..errors import ModelError
from .head import log_softmax, one_token, pieces, read


@dataclass(repr=False)
class Sweep:
    """`effect` (layers, positions), or (layers, heads): the metric with one place changed; NaN where there is none.

    `before`: the metric of the text as it is; `goal`: of the text that values come from (of a patching sweep).
    """

    name: str
    tokens: list | None  # None: columns are heads
    effect: np.ndarray
    before: float
    goal: float | None = None

    @property
    def restored(self):
        """Of a patching sweep: 0 where nothing changed, 1 where the metric became that of the other text."""
        return (self.effect - self.before) / (self.goal - self.before)

    def __repr__(self):
        best = np.unravel_index(np.nanargmax(np.abs(self.effect - self.before)), self.effect.shape)
        what = "position" if self.tokens else "head"
        change = f"from {self.before:.3f} at most to {self.effect[best]:.3f}"
        return f"<Sweep of {self.name}: {change}, by layer {best[0]}, {what} {best[1]}>"

    def _repr_html_(self):
        layers, columns = self.effect.shape
        cols = [f"{i} {t}" for i, t in enumerate(self.tokens)] if self.tokens else [f"{i}" for i in range(columns)]
        rows = [f"layer {i}" for i in range(layers)]
        if self.goal is None:
            title, x = f"change of the metric without {self.name}", self.effect - self.before
        else:
            title, x = f"{self.name} taken over: share of the difference restored", self.restored
        return pictures.heat_map(x, rows, cols, title, diverging=True)


def ablate(model, text_or_ids, name="attn_out", *, metric=None, with_=0.0):
    """Sweep of a value of each layer, with one position of it put out.

    metric: function of the logits (tokens, n_vocab); None: log-probability, at the end, of the token that is likeliest
    there. with_: what takes the place, a number, or "mean" of the value over all positions.
    """
    if isinstance(with_, str) and with_ != "mean":
        raise ValueError(f'with_ is a number or "mean", not {with_!r}')
    ids = read(model, text_or_ids)
    metric = metric or log_probability(model, int(model.logits(ids)[-1].argmax()))

    def change(value, _, position):
        value[position] = value.mean(0) if isinstance(with_, str) else with_

    return sweep(model, ids, name, metric, change, range(len(ids)))


def ablate_heads(model, text_or_ids, *, metric=None):
    """Sweep of attention heads: what each adds is put out at all positions."""
    ids = read(model, text_or_ids)
    metric = metric or log_probability(model, int(model.logits(ids)[-1].argmax()))

    def change(value, layer, head):
        value.reshape(len(ids), model.h.layer(layer).heads, -1)[:, head] = 0

    return sweep(model, ids, "attn_z", metric, change, range(model.h.heads), heads=True)


def patch(model, text_or_ids, source, name="resid_pre", *, metric=None):
    """Sweep of a value of each layer: at one position it is taken over from a pass over `source` (arXiv 2202.05262).

    Both texts have as many tokens. metric: function of the logits (tokens, n_vocab); None: at the end, the logit of the
    token that is likeliest after `source` less that of the one after the text.
    """
    ids, other = read(model, text_or_ids), read(model, source)
    if len(ids) != len(other):
        raise ModelError(f"the texts have {len(ids)} and {len(other)} tokens: position by position they must match")
    theirs, cache = model.run_with_cache(other, f"blk.*.{name}")
    ours = model.logits(ids)
    ends = int(theirs[-1].argmax()), int(ours[-1].argmax())
    if metric is None and ends[0] == ends[1]:
        raise ModelError(f"both texts go on with {pieces(model, ends[:1])[0]}: give a metric, such as logit_difference")
    metric = metric or logit_difference(model, *ends)

    def change(value, layer, position):
        value[position] = cache[f"blk.{layer}.{name}"][position]

    return sweep(model, ids, name, metric, change, range(len(ids)), goal=float(metric(theirs)))


def sweep(model, ids, name, metric, change, columns, goal=None, heads=False):
    """The metric after change(value, layer, column) of `name`, for each layer and column: a Sweep.

    What comes before a layer runs once.
    """
    effect = np.full((model.h.layers, len(columns)), np.nan)
    trace = model.trace(ids, f"blk.*.{name}")
    trace.kept = ()  # watched, but not kept: a pause for each would cost more than the layers
    trace.restart()
    before = float(metric(trace.logits))
    trace.restart()
    for layer in range(model.h.layers):
        if (value := f"blk.{layer}.{name}") not in trace.names:
            continue
        trace[value]  # runs so far
        point, there = trace.point(), model.h.layer(layer).heads if heads else len(columns)
        for column in columns[:there]:
            trace.go_back(point)
            found = trace[value]
            change(found, layer, column)
            effect[layer, column] = metric(trace.logits)
        trace.go_back(point)
    return Sweep(name, None if heads else pieces(model, ids), effect, before, goal)


def log_probability(model, token, row=-1):
    """A metric: the log-probability of a token (an id, or a text of one) at a row."""
    token = one_token(model, token)
    return lambda logits: float(log_softmax(logits[row])[token])


def logit_difference(model, token, other, row=-1):
    """A metric: how much larger the logit of one token is than that of another."""
    token, other = one_token(model, token), one_token(model, other)
    return lambda logits: float(logits[row, token]) - float(logits[row, other])
