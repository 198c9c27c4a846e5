"""Perplexity: how surprised a model is by a text."""

import math
import time

import numpy as np

from ..pictures import lines, markup, table, together
from ..pictures.frame import number
from .rows import exp, finite, mean_and_error, surprise
from .windows import Windows, rows_of, session_for


class Perplexity(float):
    """exp of the mean surprise of the scored tokens: a float that also knows its error and where it comes from.

    error: one standard error. nll: the mean surprise, in nats. surprises: float64, of each scored token.
    running: the perplexity after each window.
    """

    def __new__(cls, surprises, n_ctx, chunks, seconds=0.0, running=()):
        nll, error = mean_and_error(surprises)
        self = super().__new__(cls, exp(nll))
        self.nll, self.surprises, self.n_ctx, self.chunks = nll, np.asarray(surprises), n_ctx, chunks
        self.error, self.seconds, self.running = float(self) * error, seconds, list(running)
        return self

    def __getnewargs__(self):
        """What copies are made from."""
        return self.surprises, self.n_ctx, self.chunks, self.seconds, self.running

    @property
    def tokens(self):
        """How many were scored."""
        return len(self.surprises)

    def to_dict(self):
        """Ready for JSON; None where there is no number."""
        return finite({
            "perplexity": float(self), "error": self.error, "nll": self.nll, "tokens": self.tokens,
            "n_ctx": self.n_ctx, "chunks": self.chunks, "seconds": self.seconds, "running": self.running,
        })

    def __str__(self):
        return f"{float(self):.4f} ± {self.error:.4f}"

    def __repr__(self):
        return f"<Perplexity {self}: {self.tokens} tokens in {self.chunks} windows of {self.n_ctx}>"

    def _repr_html_(self):
        facts = {
            "perplexity": markup(f"<b>{self}</b>"),
            "bits per token": number(self.nll / math.log(2)),
            "scored": f"{self.tokens:,} tokens in {self.chunks} windows of {self.n_ctx}",
            "seconds": number(self.seconds),
        }
        told = {"perplexity so far": self.running}
        picture = lines(told, np.arange(1, self.chunks + 1), x_label="window") if self.chunks > 2 else ""
        return together(table(facts.items()), picture)


def stream(model, text_or_ids, n_ctx=None, chunks=None):
    """The Perplexity after each window; the last one is the answer. Stop reading to stop the work."""
    windows = Windows(model, text_or_ids, n_ctx, chunks)
    session, running, begin = session_for(model, windows.n_ctx), [], time.perf_counter()
    found, n = np.empty(len(windows) * windows.scored), 0
    for i in range(len(windows)):
        targets = iter(windows.targets(i))
        for rows in rows_of(session, windows[i], windows.first):
            for row in rows:
                found[n] = surprise(row, next(targets))
                n += 1
        running.append(exp(found[:n].mean()))
        yield Perplexity(found[:n], windows.n_ctx, i + 1, time.perf_counter() - begin, running)


def last(results, total=None, progress=None):
    """The last of a stream of results; progress(result, total) is told each."""
    result = None
    for result in results:
        if progress is not None:
            progress(result, total)
    return result
