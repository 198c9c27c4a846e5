"""The twelve numbers of each weight that llama.cpp's tools/imatrix keeps in its files (b11434), by its definitions.

Statistics.rows are ours; these are for others who read the file.
"""

import math
import re

import numpy as np

SCHEMA = ("sum_sq", "mean", "elements", "std_deviation", "skewness", "kurtosis", "gain", "h_norm", "l2_dist", "cossim",
          "pearson", "covariance")
BLOCK = re.compile(r"blk\.(\d+)\.(.*)")
LEAST = 1e-10
"""What is not above this counts as nothing."""


def schema_statistics(imatrix):
    """{name: float64 (12,)} in the order of SCHEMA; zeros where no token went in, NaN where a number has no meaning.

    sum_sq and h_norm (entropy in per cent of the most there can be) are of the columns' mean squares; mean to kurtosis
    of their means, or of the mean squares in files without sums; what follows, and gain (the quotient of the root mean
    squares), compares with the same weight of the nearest block before.
    """
    own = {name: of_entry(entry) for name, entry in imatrix.items()}
    first = first_nextn(imatrix)
    return {name: row | with_earlier(imatrix, name, own, first) for name, row in own.items()}


def as_array(row):
    """float64 (12,) of a dict of schema_statistics."""
    return np.array([row.get(key, 0.0) for key in SCHEMA])


def of_entry(entry):
    """What an entry says by itself; {} where it has no data."""
    squares = entry.means
    values = squares if entry.sums is None else averages(entry, entry.sums)
    valid = np.isfinite(squares) & np.isfinite(values)
    squares, values = squares[valid], values[valid]
    n = squares.size
    if not n:
        return {}
    away = values - values.mean()
    variance = float(np.square(away).mean())
    spread = math.sqrt(variance) > LEAST
    shares = squares / (squares.sum() or 1)
    shares = shares[shares > LEAST]
    entropy = -float((shares * np.log2(shares)).sum())
    return {
        "sum_sq": float(squares.sum()), "mean": float(values.mean()), "elements": n,
        "std_deviation": math.sqrt(variance),
        "skewness": float((away**3).mean()) / variance**1.5 if spread else 0.0,
        "kurtosis": float((away**4).mean()) / variance**2 - 3 if spread else 0.0,
        "h_norm": 100 * entropy / math.log2(n) if n > 1 else math.nan,
    } | dict.fromkeys(("gain", "l2_dist", "cossim", "pearson", "covariance"), math.nan)


def averages(entry, totals):
    """float64 (matrices, columns); NaN for experts that no token went to."""
    counts = entry.counts.reshape(-1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = totals.reshape(len(counts), -1) / counts
    return np.where(counts > 0, each, np.nan).reshape(totals.shape)


def first_nextn(imatrix):
    """The block where layers of next-token prediction begin, which are not compared with the trunk."""
    blocks = [(int(found[1]), found[2]) for name in imatrix if (found := BLOCK.match(name))]
    if imatrix.n_layer_nextn and blocks:
        return max(0, max(block for block, _ in blocks) + 1 - imatrix.n_layer_nextn)
    return min((block for block, rest in blocks if rest.startswith("nextn.")), default=math.inf)


def with_earlier(imatrix, name, own, first):
    """gain, l2_dist, cossim, pearson and covariance with the same weight of the nearest block before, if any."""
    found = BLOCK.match(name)
    if not found or not own[name] or int(found[1]) in (0, first):
        return {}
    block = int(found[1])
    names = (f"blk.{i}.{found[2]}" for i in range(block - 1, (first if block > first else 0) - 1, -1))
    earlier = next((n for n in names if own.get(n)), None)
    if earlier is None:
        return {}
    pair = imatrix[name], imatrix[earlier]
    sums = all(e.sums is not None for e in pair)
    a, b = (averages(e, e.sums if sums else e.squares).reshape(-1) for e in pair)
    if a.size != b.size:
        return {}
    valid = np.isfinite(a) & np.isfinite(b)
    if not valid.any():
        return {}
    return compared(a[valid], b[valid]) | {"gain": gain(own[name], own[earlier])}


def compared(a, b):
    da, db = a - a.mean(), b - b.mean()
    return {
        "l2_dist": float(np.linalg.norm(a - b)), "cossim": cosine(a, b), "pearson": cosine(da, db),
        "covariance": float(da @ db) / a.size if a.size > 1 else math.nan,
    }


def cosine(a, b):
    """NaN where both are zero."""
    norms = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not all(norms):
        return 0.0 if any(norms) else math.nan
    return min(1.0, max(-1.0, float(a @ b) / (norms[0] * norms[1])))


def gain(row, earlier):
    if earlier["sum_sq"] > LEAST:
        return math.sqrt(row["sum_sq"] / row["elements"] / (earlier["sum_sq"] / earlier["elements"]))
    return 1.0 if row["sum_sq"] <= LEAST else math.nan
