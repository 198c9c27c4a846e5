"""Attention maps, and what their heads look for."""

from dataclasses import dataclass

import numpy as np

from .. import pictures
from .head import pieces, read

SCORES = ("first", "previous", "current", "induction", "duplicate")


@dataclass(repr=False)
class Heads:
    """Attention of all heads: `pattern` (layers, heads, queries, keys), NaN where a layer has none (or fewer heads).

    `scores`: name -> (layers, heads), the share of attention, over the queries that have such a key, that goes to
    "first": the first token; "previous": the one before; "current": itself; "induction": those that followed earlier
    occurrences of the query's token; "duplicate": those occurrences (arXiv 2209.11895).
    """

    tokens: list
    pattern: np.ndarray
    scores: dict

    def top(self, score="induction", n=10):
        """[(layer, head, score)], the highest first."""
        x = np.where(np.isnan(self.scores[score]), -1, self.scores[score])
        order = np.argsort(-x, axis=None, kind="stable")[:n]
        return [(*map(int, np.unravel_index(i, x.shape)), float(x.flat[i])) for i in order if x.flat[i] >= 0]

    def map(self, layer, head):
        """The picture of one head: a row for each query."""
        labels = [f"{i} {t}" for i, t in enumerate(self.tokens)]
        title = f"layer {layer}, head {head}"
        return pictures.heat_map(self.pattern[layer, head], labels, labels, title, low=0, high=1)

    def __repr__(self):
        layers, heads, n, _ = self.pattern.shape
        return f"<Heads: {layers} layers of {heads}, {n} tokens>"

    def _repr_html_(self):
        layers, heads = self.pattern.shape[:2]
        rows, cols = [f"layer {i}" for i in range(layers)], [str(i) for i in range(heads)]
        maps = [
            pictures.heat_map(x, rows, cols, title=f"{name}-token attention of each head", low=0, high=1)
            for name, x in self.scores.items()
            if np.isfinite(x).any()
        ]
        return pictures.together(*maps)


def attention(model, text_or_ids):
    """Heads of a text."""
    ids = read(model, text_or_ids)
    n, most = len(ids), model.h.heads
    pattern = np.full((model.h.layers, most, n, n), np.nan, np.float32)
    trace = model.trace(ids, lambda name: name.endswith(".attn_pattern"))
    trace.complete()
    for name in trace.names:
        if name.endswith(".attn_pattern"):
            found = trace[name]
            pattern[int(name.split(".")[1]), : len(found)] = found
    masks = {name: keys_of(ids, name) for name in SCORES}
    return Heads(pieces(model, ids), pattern, {name: share(pattern, mask) for name, mask in masks.items()})


def induction(model, n=24, seed=0):
    """Heads over `n` random tokens that come twice, behind the begin token: what only induction can foresee."""
    rng, special = np.random.default_rng(seed), {model.tokenizer.bos, *model.tokenizer.eog}
    ids = [i for i in rng.permutation(model.n_vocab)[: n + len(special)].tolist() if i not in special][:n]
    return attention(model, model.tokenize("") + ids + ids)


def keys_of(ids, score):
    """bool (queries, keys): which keys a score counts."""
    ids = np.asarray(ids)
    i, j = np.arange(len(ids))[:, None], np.arange(len(ids))[None]
    same = ids[:, None] == ids[None]
    if score == "first":
        return (j == 0) & (i > 0)
    if score == "previous":
        return j == i - 1
    if score == "current":
        return (j == i) & (i > 0)
    if score == "duplicate":
        return same & (j < i)
    followers = np.zeros_like(same)
    followers[:, 1:] = same[:, :-1]
    return followers & (j < i)


def share(pattern, mask):
    """Mean over the queries that have such keys of the attention that these get: (layers, heads)."""
    queries = mask.any(-1)
    if not queries.any():
        return np.full(pattern.shape[:2], np.nan)
    return (pattern * mask)[:, :, queries].sum(-1).mean(-1)
