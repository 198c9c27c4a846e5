"""Which tokens come next: at the end of the model, and if it ended after each of its layers (the logit lens)."""

from dataclasses import dataclass

import numpy as np

from .. import pictures
from .head import Head, best, divergence, entropy, log_softmax, piece, pieces, read

SHOWN = 12  # columns of a table, the last ones
FAR = 14.0  # nats: from there on one colour, or the embedding's distance would hide all others


@dataclass(repr=False)
class TopTokens:
    """The likeliest next tokens at each position: `ids` and `probs` (tokens, k), their `texts`."""

    tokens: list
    ids: np.ndarray
    probs: np.ndarray
    texts: list
    entropy: np.ndarray  # (tokens,), nats

    def __repr__(self):
        return f"<TopTokens of {len(self.tokens)} positions, {self.ids.shape[1]} each>"

    def _repr_html_(self):
        rows = [
            (i, token, *(f"{text} {p:.0%}" for text, p in zip(texts, probs, strict=True)))
            for i, (token, texts, probs) in enumerate(zip(self.tokens, self.texts, self.probs, strict=True))
        ]
        columns = ["", "token", *(f"{k + 1}." for k in range(self.ids.shape[1]))]
        return pictures.table(rows, columns, title="likeliest next tokens")


def top_tokens(model, text_or_ids, k=10):
    """TopTokens of a text."""
    ids = read(model, text_or_ids)
    log_p = log_softmax(model.logits(ids))
    top = best(log_p, k)
    probs = np.exp(np.take_along_axis(log_p, top, -1))
    return TopTokens(pieces(model, ids), top, probs, [pieces(model, row) for row in top], entropy(log_p))


@dataclass(repr=False)
class LogitLens:
    """What each layer's residual would predict. Axes are (layers + 1, tokens): before the first layer, after each."""

    tokens: list
    names: list  # of the residuals
    ids: np.ndarray  # (layers + 1, tokens, k): likeliest next tokens
    probs: np.ndarray
    texts: list  # of the likeliest alone
    entropy: np.ndarray  # nats
    kl: np.ndarray  # nats, from the final distribution to this one
    rank: np.ndarray  # of the token that the whole model finds likeliest: 0, where the layer agrees

    def __repr__(self):
        layers, n = self.kl.shape
        return f"<LogitLens of {n} tokens through {layers - 1} layers>"

    def _repr_html_(self):
        rows = [label(name) for name in self.names]
        columns = [f"{i} {t}" for i, t in enumerate(self.tokens)]
        last = slice(max(0, len(columns) - SHOWN), None)
        table = [(row, *texts[last]) for row, texts in zip(rows[::-1], self.texts[::-1], strict=True)]
        return pictures.together(
            pictures.table(table, ["likeliest", *columns[last]]),
            pictures.heat_map(self.probs[..., 0], rows, columns, title="probability of the likeliest", low=0, high=1),
            pictures.heat_map(self.entropy, rows, columns, title="entropy, nats"),
            pictures.heat_map(self.kl, rows, columns, "KL from the final distribution, nats", low=0, high=FAR),
        )


def logit_lens(model, text_or_ids, top=5):
    """LogitLens of a text: the head applied to the residual stream after each layer (nostalgebraist, 2020)."""
    ids, head = read(model, text_or_ids), Head(model)
    names = ["blk.0.resid_pre", *(f"blk.{i}.resid_post" for i in range(model.h.layers))]
    logits, cache = model.run_with_cache(ids, names)
    final = log_softmax(logits)
    chosen = final.argmax(-1)[:, None]
    found = [of_layer(head.logits(cache[name]), final, chosen, top) for name in names]
    tops, probs, entropies, kl, rank = (np.stack(x) for x in zip(*found, strict=True))
    texts = [[piece(model, i) for i in row[:, 0]] for row in tops]
    return LogitLens(pieces(model, ids), names, tops, probs, texts, entropies, kl, rank)


def of_layer(logits, final, chosen, top):
    log_p = log_softmax(logits)
    ids = best(log_p, top)
    rank = (log_p > np.take_along_axis(log_p, chosen, -1)).sum(-1)
    probs = np.exp(np.take_along_axis(log_p, ids, -1))
    return ids, probs, entropy(log_p), divergence(final, log_p), rank


def label(name):
    """ "after 5" for blk.5.resid_post."""
    _, layer, what = name.split(".", 2)
    return f"after {layer}" if what == "resid_post" else "embedding"
