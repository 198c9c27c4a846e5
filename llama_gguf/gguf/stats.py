"""Statistics of a tensor of any size: piece by piece, on all cores, in two readings.

The first reading finds range, mean and deviation, the second what is counted from those. Sums are in double precision
and added in the order of the file, so the answer does not depend on the number of threads.
"""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

PIECE = 1 << 18
"""Values of a piece: a megabyte of float32 for each thread."""

KEPT = 32 << 20
"""Bytes of the mapped file that are read before they are given back."""

BINS = 64
SIGMAS = 3, 4, 6
TOP = 8
"""Channels that are told by name."""


class Stats(dict):
    """What `Tensor.stats` gives: a dict of plain Python (NaN where no value is finite), shown as tables and a histogram
    in a notebook.
    """

    def _repr_html_(self):
        from llama_gguf.gguf.reprs import stats_html

        return stats_html(self)


def stats(tensor, most=None, n_threads=None):
    """Stats of a tensor's values. most: look at no more values than that, in rows evenly spaced.

    min, max, mean, std, kurtosis (0: as a normal distribution) of the finite values; zeros, nan, inf: counts;
    elements, seen: values there are and were looked at; histogram: {"edges", "counts"}; beyond: {sigmas: share of
    values farther from the mean}; columns, rows: the largest by root mean square, [{"index", "rms", "ratio"}], ratio
    to the median one (of a matrix only; rows of experts are numbered through).
    """
    pieces = Pieces(tensor, most, n_threads)
    first = moments(pieces)
    second = spread(pieces, first) if first["count"] else dict(variance=math.nan, kurtosis=math.nan, counts=[0] * BINS)
    variance, far = second["variance"], second.get("far", [math.nan] * len(SIGMAS))
    found = Stats(
        name=tensor.name, min=first["low"], max=first["high"], mean=first["mean"], std=math.sqrt(variance),
        kurtosis=second["kurtosis"], zeros=first["zeros"], nan=first["nan"], inf=first["inf"],
        elements=tensor.n_elements, seen=pieces.size,
        histogram={"edges": edges(first).tolist(), "counts": [int(n) for n in second["counts"]]},
        beyond={k: float(part) for k, part in zip(SIGMAS, far, strict=True)},
    )
    if len(tensor.shape) > 1:
        found["columns"] = largest(np.sqrt(first["columns"] / max(1, pieces.rows)))
        found["rows"] = largest(np.sqrt(first["each"] / tensor.shape[-1]), pieces.picked)
    return found


class Pieces:
    """A tensor's rows, or some of them, as float32 a piece at a time, several at once."""

    def __init__(self, tensor, most, n_threads):
        from llama_gguf.engine import default_threads

        self.tensor, self.n_threads = tensor, n_threads or default_threads()
        self.raw, self.picked = tensor.raw, None  # once: of a file elsewhere that means fetching it
        n, cols = len(self.raw), tensor.shape[-1]
        if most is not None and n * cols > most:
            self.picked = np.unique(np.linspace(0, n - 1, max(1, most // cols)).astype(np.int64))
        self.rows = n if self.picked is None else len(self.picked)
        self.size, self.step = self.rows * cols, max(1, PIECE // cols)
        self._own = threading.local()

    def map(self, look):
        """look(values, first row) of every piece, in order."""
        with ThreadPoolExecutor(self.n_threads) as pool:
            yield from pool.map(lambda start: look(self._values(start), start), range(0, self.rows, self.step))

    def _values(self, start):
        stop = min(self.rows, start + self.step)
        if self.picked is not None:
            return self._float(self.raw[self.picked[start:stop]])
        kept = max(1, KEPT // self.tensor.row_bytes)
        if start // kept != stop // kept:  # all of a mapped file would stay in memory
            self.tensor.release(max(0, start - kept), min(kept, start))
        return self._float(self.raw[start:stop])

    def _float(self, raw):
        """float32 (rows, cols), in this thread's own room; the engine's team would be one too many."""
        if self.tensor.type.dtype:
            return self.tensor._dequantize(raw)
        from llama_gguf.engine.quants import dequantize

        if not hasattr(self._own, "room"):
            self._own.room = np.empty((self.step, self.tensor.shape[-1]), np.float32)
        raw = np.ascontiguousarray(raw)
        return dequantize(raw, self.tensor.type.id, self.tensor.shape[-1], 1, self._own.room[: len(raw)])


def moments(pieces):
    """Range, mean, counts; sums of squares of each column and row."""
    from llama_gguf.engine import summary

    columns, each = np.zeros(pieces.tensor.shape[-1]), np.zeros(pieces.rows)

    def look(values, start):
        own = np.zeros(len(columns))
        return summary.moments(values, own, each[start : start + len(values)]), own

    total, low, high, counts = 0.0, math.inf, -math.inf, np.zeros(4, np.int64)
    for (part, least, most, *some), own in pieces.map(look):
        total, low, high = total + part, min(low, least), max(high, most)
        counts, columns = counts + some, columns + own
    count, zeros, nan, inf = map(int, counts)
    mean = total / count if count else math.nan
    std = math.sqrt(max(0.0, columns.sum() / count - mean**2)) if count else math.nan
    return dict(low=low, high=high, count=count, zeros=zeros, nan=nan, inf=inf, mean=mean, std=std,
                columns=columns, each=each)


def spread(pieces, first):
    """Variance and kurtosis from differences to the mean, the histogram, and shares of what is far out."""
    from llama_gguf.engine import summary

    ends, count = edges(first), first["count"]
    scale = BINS / (ends[-1] - ends[0])
    limits = first["std"] * np.array(SIGMAS, np.float64)

    def look(values, start):
        bins, far = np.zeros(BINS, np.int64), np.zeros(len(SIGMAS), np.int64)
        return *summary.spread(values, first["mean"], ends[0], scale, bins, limits, far), bins, far

    squares = fourths = counts = far = 0
    for part in pieces.map(look):
        squares, fourths, counts, far = (a + b for a, b in zip((squares, fourths, counts, far), part, strict=True))
    variance = squares / count
    kurtosis = fourths / count / variance**2 - 3 if variance else math.nan
    return dict(variance=variance, kurtosis=kurtosis, counts=counts, far=far / count)


def edges(first):
    """Ends of the histogram's bins."""
    low, high = (first["low"], first["high"]) if first["count"] else (0.0, 0.0)
    return np.linspace(low - 0.5, high + 0.5, BINS + 1) if high <= low else np.linspace(low, high, BINS + 1)


def largest(rms, numbers=None):
    """The largest channels, their size, and how many times the median that is."""
    median = float(np.median(rms)) if len(rms) else 0.0
    return [
        {
            "index": int(i if numbers is None else numbers[i]),
            "rms": float(rms[i]),
            "ratio": float(rms[i] / median) if median else math.nan,
        }
        for i in np.argsort(rms, kind="stable")[::-1][:TOP]
    ]
