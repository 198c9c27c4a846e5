"""Choosing the next token from a row of logits."""

import math
import operator
import os
from dataclasses import dataclass

from llama_gguf.errors import ModelError

MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Step:
    """What one step of a sampler leaves: ids, the likeliest first, and their probabilities, which add up to 1."""

    name: str
    ids: object
    probabilities: object


class Sampler:
    """`sample(logits, history)` gives a token id; the same seed gives the same ids again.

    Steps in this order: bias, `processor`, repeat penalty, top-k, top-p, min-p, temperature.
    `temperature <= 0` takes the highest logit, the lowest id of equals. `top_k=0`, `top_p=1`,
    `min_p=0`, `repeat_penalty=1` switch a step off; `repeat_last_n=-1` looks at all of the
    history. `logit_bias` maps ids to what is added to their logits (-inf forbids one).
    `processor(history, logits)` gets a copy of the row and returns the row to sample from.
    `seed=None` draws one; `seed` holds it.
    """

    def __init__(self, temperature=0.0, top_k=40, top_p=0.95, min_p=0.05, repeat_penalty=1.0,
                 repeat_last_n=64, seed=None, *, logit_bias=None, processor=None):
        from llama_gguf.engine.sampler import Picker

        check("temperature", temperature, -math.inf, math.inf)
        check("top_p", top_p, 0, math.inf)
        check("min_p", min_p, 0, 1)
        check("repeat_penalty", repeat_penalty, math.ulp(0.0), math.inf)
        self.seed = int.from_bytes(os.urandom(8)) if seed is None else operator.index(seed)
        self.repeat_penalty, self.repeat_last_n = repeat_penalty, operator.index(repeat_last_n)
        self.logit_bias, self.processor = dict(logit_bias or {}), processor
        top_k = operator.index(top_k)
        self._picker = Picker(temperature, max(top_k, 0), top_p, min_p, self.seed & MASK64)
        self._row = None

    @property
    def state(self):
        """The state of the random numbers, an integer; set it to go back to that point."""
        return self._picker.state

    @state.setter
    def state(self, value):
        self._picker.state = value

    def sample(self, logits, history=()):
        """`logits`: float32 (n_vocab,), left as it is. `history`: ids so far, the latest last.

        Raises ModelError where the logits are NaN or +inf, or leave no token possible.
        """
        import numpy as np

        row = np.ascontiguousarray(logits, dtype=np.float32)
        recent = self.recent(history)
        if self.logit_bias or self.processor or len(recent):
            row = self.adjusted(row, history, recent)
        token = self._picker.pick(row)
        if token >= 0:
            return token
        if token == -1:
            bad = int(np.flatnonzero(~(row < np.inf))[0])
            raise ModelError(f"the logit of token {bad} is {row[bad]}: the model's weights or "
                             "hyperparameters are broken")
        raise ModelError("every logit is -inf: no token is possible")

    def steps(self, logits, history=()):
        """What survives: a Step for "logits", "penalties" (bias, processor, repeat penalty), "top_k", "top_p", "min_p"
        and "temperature", in NumPy. `sample` draws from the last of them.
        """
        import numpy as np

        raw, p = np.array(logits, dtype=np.float32), self._picker
        if not (raw < np.inf).all() or not np.isfinite(raw).any():
            raise ModelError("the logits hold NaN or +inf, or leave no token possible")
        recent, row, ids = self.recent(history), raw, ranked(raw)
        found = [Step("logits", ids, softmax(raw[ids]))]
        if self.logit_bias or self.processor or len(recent):
            row = self.adjusted(raw, history, recent)
            ids = ranked(row)
        found.append(Step("penalties", ids, softmax(row[ids])))
        ids = ids[: p.top_k] if p.top_k else ids
        found.append(Step("top_k", ids, softmax(row[ids])))
        below = np.cumsum(found[-1].probabilities) < p.top_p
        ids = ids[: np.count_nonzero(below) + 1] if p.top_p < 1 else ids
        found.append(Step("top_p", ids, softmax(row[ids])))
        likely = row[ids].astype(np.float64) >= float(row[ids[0]]) + math.log(p.min_p or 1)
        ids = ids[likely] if p.min_p > 0 else ids
        found.append(Step("min_p", ids, softmax(row[ids])))
        ids = ids if p.temperature > 0 else ids[:1]
        found.append(Step("temperature", ids, softmax(row[ids] / (p.temperature if p.temperature > 0 else 1))))
        return found

    def recent(self, history):
        """The part of the history that the repeat penalty is for."""
        if self.repeat_penalty == 1 or self.repeat_last_n == 0:
            return ()
        return history if self.repeat_last_n < 0 else history[-self.repeat_last_n :]

    def adjusted(self, row, history, recent):
        """A copy of the row, in a buffer that is used again, after bias, processor, penalty."""
        import numpy as np

        if self._row is None or self._row.shape != row.shape:
            self._row = np.empty_like(row)
        out = self._row
        out[:] = row
        for i, bias in self.logit_bias.items():
            if 0 <= i < len(out):
                out[i] += bias
        if self.processor is not None:
            out = np.array(self.processor(history, out), dtype=np.float32)
            if out.shape != row.shape:
                raise ValueError(f"processor returned {out.shape}, not {row.shape}")
        if len(recent):
            self._picker.penalize(out, recent, self.repeat_penalty)
        return out


def check(name, value, low, high):
    """ValueError unless low <= value <= high."""
    if not low <= value <= high or not math.isfinite(value):
        raise ValueError(f"{name} is {value}; it must be a number from {low} to {high}")


def ranked(row):
    """Ids of the possible tokens: descending logit, ascending id among equals."""
    import numpy as np

    ids = np.argsort(-row, kind="stable")
    return ids[row[ids] > -np.inf]


def softmax(logits):
    """float64 probabilities of logits in descending order."""
    import numpy as np

    e = np.exp(np.asarray(logits, np.float64) - logits[0])
    return e / e.sum()


def top_logprobs(row, k, token=None):
    """The k likeliest ids of a row of logits as [(id, log probability)], with `token` before them if it is given."""
    import numpy as np

    row = np.asarray(row, np.float32)
    k = min(k, len(row))
    high = row.max()
    total = float(high) + math.log(float(np.exp(row - high).sum(dtype=np.float64)))
    best = np.flatnonzero(row >= np.partition(row, -k)[-k])  # more than k where some are equal
    best = best[np.argsort(-row[best], kind="stable")][:k]
    ids = ([] if token is None else [token]) + best.tolist()
    return [(i, float(row[i]) - total) for i in ids]
