"""Numbers of one row of logits: exponentials in single precision, which is as exact as logits are, sums in double."""

import math

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


def kl_of_logits(base, other):
    """(KL, log_sum(base), log_sum(other)) of two rows of logits, in nats: what is lost by taking `other` for `base`.

    The mean of the differences less that of the sums' logarithms, so that no probability is rounded twice.
    """
    most, differences = base.max(), base.astype(np.float64) - other
    weights = np.exp(base - most).astype(np.float64)
    total = weights.sum()
    sum_base, sum_other = float(most) + float(np.log(total)), log_sum(other)
    differences *= weights  # and no product of vectors: BLAS would wake all its threads for each
    kl = float(differences.sum() / total) - sum_base + sum_other
    return 0.0 if kl < 0 else kl, sum_base, sum_other  # NaN stays


def finite(told):
    """Plain Python for JSON, which has no word for NaN and infinity: None."""
    if isinstance(told, dict):
        return {key: finite(value) for key, value in told.items()}
    if isinstance(told, list):
        return [finite(value) for value in told]
    return None if isinstance(told, float) and not math.isfinite(told) else told


def exp(x):
    """As a float; infinity where that is too large, as a model that was broken may make it."""
    with np.errstate(over="ignore"):
        return float(np.exp(np.float64(x)))


def mean_and_error(x):
    """Mean and its standard error, as llama-perplexity has it."""
    x, n = np.asarray(x, np.float64), len(x)
    if n < 2:
        return (float(x.mean()), float("nan")) if n else (float("nan"), float("nan"))
    return float(x.mean()), float(x.std() / np.sqrt(n - 1))
