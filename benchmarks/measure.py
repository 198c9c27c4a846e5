"""Figures from rounds, ratios of engines, errors of logits, tables of all of them."""

import json
from statistics import median

OURS = "llama-gguf"


def spread(values):
    """Median, lowest and highest of some rounds, and the rounds themselves."""
    return {
        "median": median(values),
        "low": min(values),
        "high": max(values),
        "rounds": list(values),
    }


def ratio(ours, theirs):
    """How many times `theirs` fits into `ours`: of the medians; low and high of single rounds."""
    rounds = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {"median": median(ours) / median(theirs), "low": min(rounds), "high": max(rounds)}


def compare(rates):
    """{engine: [rate of each round]} with spreads, and the ratios of ours to each peer.

    "faster peer" is the one with the highest median: the goal is to outrun that one.
    """
    found = {"engines": {name: spread(values) for name, values in rates.items()}, "ratios": {}}
    peers = {name: values for name, values in rates.items() if name != OURS}
    if OURS in rates and peers:
        found["ratios"] = {name: ratio(rates[OURS], values) for name, values in peers.items()}
        faster = max(peers, key=lambda name: median(peers[name]))
        found["faster_peer"], found["ratios"]["faster peer"] = faster, found["ratios"][faster]
    return found


def errors(logits, reference):
    """NMSE, mean KL divergence (nats) and share of equal argmax of (n, n_vocab) arrays.

    NMSE is the sum of squared differences over the sum of squares of the reference. Row by row
    in float64: a whole float64 copy of 262k logits would be large.
    """
    import numpy as np

    square = total = divergence = same = 0.0
    for row, truth in zip(logits, reference, strict=True):
        row, truth = np.asarray(row, np.float64), np.asarray(truth, np.float64)
        square += np.sum((row - truth) ** 2)
        total += np.sum(truth**2)
        log_p, log_q = log_softmax(truth), log_softmax(row)
        divergence += np.sum(np.exp(log_p) * (log_p - log_q))
        same += row.argmax() == truth.argmax()
    n = len(reference)
    found = {"nmse": square / total, "kl": divergence / n, "same_top": same / n}
    return {name: float(value) for name, value in found.items()}


def log_softmax(row):
    import numpy as np

    row = row - row.max()
    return row - np.log(np.exp(row).sum())


def numbers(text):
    """(1, 2) of "1,2"; an empty text is no numbers."""
    return tuple(int(part) for part in text.split(",") if part)


def random_ids(n, n_vocab, seed=0):
    """`n` token ids, the same on every machine and in every engine."""
    import random

    choose = random.Random(seed)
    return [choose.randrange(n_vocab) for _ in range(n)]


def figure(value):
    """Three digits that count, whole numbers from 100 on: 0.123, 1.23, 12.3, 123."""
    if value == 0:
        return "0"
    for digits, below in ((0, 100), (1, 10), (2, 1)):
        if abs(value) >= below:
            return f"{value:.{digits}f}"
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.1e}"


def spread_text(found):
    """`12.3 (12.1..12.6)`"""
    low, high = figure(found["low"]), figure(found["high"])
    return f"{figure(found['median'])} ({low}..{high})"


def markdown(titles, rows):
    """A table for a terminal and for docs alike; all columns but the first are right-aligned."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(titles, *rows, strict=True)]

    def line(cells):
        first, *rest = zip(cells, widths, strict=True)
        return "| " + " | ".join([first[0].ljust(first[1])] + [c.rjust(w) for c, w in rest]) + " |"

    rule = ["-" * widths[0]] + ["-" * (w - 1) + ":" for w in widths[1:]]
    return "\n".join([line(titles), line(rule), *map(line, rows)])


def publish(found, tables, target):
    """Print the tables; all figures as JSON go to the path `target`, or for "-" to stdout alone."""
    text = json.dumps(found, indent=2)
    if str(target) == "-":
        print(text)
        return
    if target:
        target.write_text(text + "\n")
    print(tables)
