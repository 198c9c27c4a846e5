"""What a model thinks of each token of a text."""

from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from ..pictures import coloured_tokens, markup, table, together
from .rows import exp, finite, log_probs
from .windows import rows_of, session_for, text_ids


@dataclass
class Scores:
    """Of each token of a text: log p (nats; NaN for the first, which nothing predicts), its rank (0: the likeliest),
    the entropy of the prediction (nats), and the likeliest tokens, [(id, log p)].
    """

    ids: list
    pieces: list
    log_probs: np.ndarray
    ranks: np.ndarray
    entropies: np.ndarray
    top: list

    @property
    def total(self):
        """log p of the text, given its first token."""
        return float(np.nansum(self.log_probs))

    @property
    def perplexity(self):
        return exp(-np.nanmean(self.log_probs)) if len(self.ids) > 1 else float("nan")

    def to_dict(self):
        """Everything in plain Python, ready for JSON: a list of tokens, None where there is no prediction."""
        rows = zip(self.ids, self.pieces, self.log_probs, self.ranks, self.entropies, self.top, strict=True)
        tokens = [
            {
                "id": id, "text": piece, "log_prob": float(p),
                "rank": None if rank < 0 else int(rank), "entropy": float(h),
                "top": [{"id": i, "log_prob": x} for i, x in top],
            }
            for id, piece, p, rank, h, top in rows
        ]
        return finite({"tokens": tokens, "log_prob": self.total, "perplexity": self.perplexity})

    def __len__(self):
        return len(self.ids)

    def __repr__(self):
        return f"<Scores of {len(self)} tokens: log p {self.total:.3f}, perplexity {self.perplexity:.3f}>"

    def _repr_html_(self):
        notes = [f"rank {r}" if r >= 0 else "nothing predicts it" for r in self.ranks]
        title = "Surprise of each token, in nats"
        return together(
            coloured_tokens(self.pieces, -self.log_probs, self.ids, title=title, notes=notes),
            markup(f"{len(self)} tokens, log p {self.total:.2f}, perplexity {self.perplexity:.2f}"),
        )

    def table(self):
        """The same as a Picture, with the likeliest tokens' ids."""
        rows = [
            [i, id, piece, float(p), int(r), float(h)]
            for i, (id, piece, p, r, h) in enumerate(
                zip(self.ids, self.pieces, self.log_probs, self.ranks, self.entropies, strict=True)
            )
        ]
        return table(rows, ("place", "id", "token", "log p", "rank", "entropy"))


def score(model, text_or_ids, top=5):
    """Scores of a text, or of token ids. top: likeliest tokens to keep for each place."""
    model._need_decoder()
    ids = text_ids(model, text_or_ids)
    if not ids:
        raise ModelError("there are no tokens to score; give at least one (or a text)")
    n = len(ids)
    found, ranks, entropies = np.full(n, np.nan), np.full(n, -1), np.full(n, np.nan)
    best, at = [[]], 1
    for rows in rows_of(session_for(model, n), ids, 0):
        for row in rows:
            log_p = log_probs(row)
            found[at], ranks[at] = log_p[ids[at]], np.count_nonzero(log_p > log_p[ids[at]])
            entropies[at] = -float((np.exp(log_p) * log_p).sum())
            best.append(likeliest(log_p, top))
            at += 1
    return Scores(ids, pieces(model, ids), found, ranks, entropies, best)


def likeliest(log_p, k):
    """[(id, log p)] of the k largest, the largest first."""
    if k < 1:
        return []
    some = np.argpartition(-log_p, min(k, len(log_p)) - 1)[:k]
    return [(int(i), float(log_p[i])) for i in some[np.argsort(-log_p[some], kind="stable")]]


def pieces(model, ids):
    """Each token as text."""
    return [model.tokenizer.piece(i).decode("utf-8", "replace") for i in ids]
