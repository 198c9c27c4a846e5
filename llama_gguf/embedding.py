"""Texts to vectors: the states that a model ends with, pooled.

A decoder's states are what its output matrix would turn into logits, an encoder's are all that it makes.
"""

import numpy as np

from .errors import ModelError
from .reference import Reference
from .session import BATCH, Session

POOLINGS = ("none", "mean", "cls", "last", "rank")
"""`pooling_type` counts them from 0: a vector for each token, their mean, the first, the last, or a head's scores."""

TOGETHER = 16  # short texts that run in one step


def pooling(model, asked=None):
    """The pooling asked for, else what the file states, else the mean; ValueError or ModelError if that cannot be."""
    stated = model.metadata.int(".pooling_type", POOLINGS.index("mean"), lo=0, hi=len(POOLINGS) - 1)
    name = POOLINGS[stated] if asked is None else asked
    if name not in POOLINGS:
        raise ValueError(f"pooling is one of {', '.join(POOLINGS)}, not {asked!r}")
    if name == "rank" and not model.graph.ranks:
        raise ModelError("this model has no head that ranks texts; pool by mean, cls or last", path=str(model.path))
    return name


class Embedder:
    """The sessions that embed: many short texts run in one step, a long one alone."""

    def __init__(self, model):
        self.model, self._sessions = model, {}

    def session(self, short):
        """One of up to BATCH positions for each of several texts, or one of all positions."""
        if short not in self._sessions:
            n_ctx = min(BATCH, self.model.n_ctx) if short else self.model.n_ctx
            how = {"n_seq": TOGETHER} if short else {}
            self._sessions[short] = Session(self.model, n_ctx, states=True, **how)
        return self._sessions[short]

    def embed(self, text_or_ids, how, normalize):
        """What Model.embed gives."""
        how, (single, texts) = pooling(self.model, how), several(text_or_ids)
        texts = [self.model.ids(x) for x in texts]
        if not all(texts):
            raise ModelError("a text without tokens has no embedding")
        found = self.vectors(texts, how, normalize)
        return found[0] if single else found

    def vectors(self, texts, how, normalize):
        """Of lists of token ids: float32 (n, width), or a list of (tokens, width)."""
        rows, found = self.model.h.ranked_by if how == "rank" else how, []
        for group in groups(texts, min(BATCH, self.model.n_ctx)):
            found += [self.pooled(states, how) for states in self.states(group, rows)]
        if normalize and how != "rank":
            found = [unit(x) for x in found]
        if how == "none":
            return found
        return np.stack(found) if found else np.empty((0, self.model.h.width), np.float32)

    def states(self, group, how):
        """The rows that pooling reads, of each text of a group that fits into one step, or of a single text."""
        session = self.session(sum(map(len, group)) <= BATCH)
        with session.lock:
            session.reset()
            if len(group) == 1:
                rows = session.forward(group[0], every=how != "last")
                return [rows[:1] if how == "cls" else rows]
            ids, seqs, rows = [], [], []
            for i, text in enumerate(group):
                rows.append(wanted(len(ids), len(text), how))
                ids, seqs = ids + text, seqs + [i] * len(text)
            found = session.step(ids, seqs, [r for some in rows for r in some])
        return np.split(found, np.cumsum([len(some) for some in rows])[:-1])

    def pooled(self, rows, how):
        reference = Reference(self.model)
        vectors = rows if how == "none" else rows.mean(0, dtype=np.float64).astype(np.float32)[None]
        if how == "rank":
            return reference.rank(vectors[0])
        vectors = reference.project(vectors) if self.model.graph.projects else vectors
        return vectors if how == "none" else vectors[0]


def several(text_or_ids):
    """(is this a single text?, a list of texts, or of lists of ids)"""
    if isinstance(text_or_ids, str | bytes) or not hasattr(text_or_ids, "__iter__"):
        return True, [text_or_ids]
    items = list(text_or_ids)
    single = bool(items) and not isinstance(items[0], str) and not hasattr(items[0], "__iter__")
    return single, [items] if single else items


def wanted(start, n, how):
    """Rows of a text that pooling reads."""
    if how in ("cls", "last"):
        return [start if how == "cls" else start + n - 1]
    return range(start, start + n)


def groups(texts, room):
    """Neighbours that fit into one step together."""
    group = []
    for text in texts:
        if group and (sum(map(len, group)) + len(text) > room or len(group) == TOGETHER):
            yield group
            group = []
        group.append(text)
    if group:
        yield group


def unit(x):
    """Vectors of length 1; zeros stay zeros."""
    size = np.linalg.norm(x.astype(np.float64), axis=-1, keepdims=True)
    return (x / np.where(size > 0, size, 1)).astype(np.float32)
