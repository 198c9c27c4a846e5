"""Numbers of one row of logits, in double precision."""

import numpy as np


def log_sum(row):
    """Logarithm of the sum of exponentials of a float32 row."""
    most = row.max()
    return float(most) + float(np.log(np.exp(row - most).sum(dtype=np.float64)))


def surprise(row, target):
    """-log p of a token, in nats."""
    return log_sum(row) - float(row[target])


def log_probs(row):
    """float64 (n_vocab,): log p of every token."""
    row = row.astype(np.float64)
    row -= row.max()
    row -= np.log(np.exp(row).sum())
    return row


def divergence(base, other):
    """Kullback-Leibler divergence of two rows of log p, in nats: what is lost by taking `other` for `base`."""
    return max(0.0, float(np.exp(base) @ (base - other)))


def mean_and_error(x):
    """Mean and its standard error, as llama-perplexity has it."""
    x, n = np.asarray(x, np.float64), len(x)
    if n < 2:
        return (float(x.mean()), float("nan")) if n else (float("nan"), float("nan"))
    return float(x.mean()), float(x.std() / np.sqrt(n - 1))
