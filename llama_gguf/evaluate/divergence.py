"""How far one model's predictions are from another's: KL divergence and its company, as llama-perplexity tells them.

Both models see the same windows and the same few rows of logits at a time, so nothing large is kept; of each scored
token five numbers are.
"""

import math
import time
from dataclasses import dataclass, field

import numpy as np

from ..errors import ModelError
from ..pictures import histogram, lines, markup, table, together
from .rows import exp, finite, kl_of_logits, mean_and_error
from .windows import Windows, rows_of, session_for

QUANTILES = 0.999, 0.99, 0.95, 0.9, 0.5, 0.1, 0.05, 0.01, 0.001


@dataclass
class Divergence:
    """Of each scored token: kl (nats), surprise of the model and of the base (-log p), change of its probability,
    and whether both think the same token likeliest. Statistics are properties; errors are one standard error.
    """

    kls: np.ndarray
    surprises: np.ndarray
    base_surprises: np.ndarray
    same: np.ndarray
    n_ctx: int
    chunks: int
    seconds: float = 0.0
    base: str = ""
    model: str = ""
    running: list = field(default_factory=list)

    @property
    def changes(self):
        """p of the model less p of the base, of the text's tokens."""
        return np.exp(-self.surprises) - np.exp(-self.base_surprises)

    @property
    def tokens(self):
        """How many were scored."""
        return len(self.kls)

    @property
    def kl(self):
        return float(self.kls.mean())

    @property
    def kl_error(self):
        return mean_and_error(self.kls)[1]

    @property
    def same_top(self):
        return float(self.same.mean())

    def quantiles(self, values):
        """{"max", "99.9%", ..., "median", ..., "min"}"""
        names = ["median" if q == 0.5 else f"{100 * q:g}%" for q in QUANTILES]
        found = dict(zip(names, np.quantile(values, QUANTILES).tolist(), strict=True))
        return {"max": float(values.max())} | found | {"min": float(values.min())}

    def to_dict(self):
        """All statistics in plain Python, ready for JSON; pairs are (value, error), None where there is no number."""
        return finite(self._statistics())

    def _statistics(self):
        n = len(self.kls)
        ln, ln_error = mean_and_error(self.surprises)
        ln_base, ln_base_error = mean_and_error(self.base_surprises)
        covariance = np.cov(self.surprises, self.base_surprises, bias=True)[0, 1] / (n - 1) if n > 1 else math.nan
        ratio_error = math.sqrt(max(0.0, ln_error**2 + ln_base_error**2 - 2 * covariance))
        square, square_error = mean_and_error(self.changes**2)
        rms, top = math.sqrt(square), self.same_top
        ppl, ppl_base = exp(ln), exp(ln_base)
        spread = (ppl * ln_error) ** 2 + (ppl_base * ln_base_error) ** 2 - 2 * ppl * ppl_base * covariance
        return {
            "base": self.base, "model": self.model, "tokens": n, "n_ctx": self.n_ctx, "chunks": self.chunks,
            "seconds": self.seconds,
            "kl": [self.kl, self.kl_error],
            "kl_quantiles": self.quantiles(self.kls),
            "same_top": [top, math.sqrt(top * (1 - top) / (n - 1)) if n > 1 else math.nan],
            "rms_change": [rms, 0.5 / rms * square_error if rms else 0.0],
            "mean_change": list(mean_and_error(self.changes)),
            "change_quantiles": self.quantiles(self.changes),
            "perplexity": [ppl, ppl * ln_error],
            "base_perplexity": [ppl_base, ppl_base * ln_base_error],
            "log_ratio": [ln - ln_base, ratio_error],
            "ratio": [exp(ln - ln_base), exp(ln - ln_base) * ratio_error],
            "difference": [ppl - ppl_base, math.sqrt(max(0.0, spread))],
            "correlation": covariance / (ln_error * ln_base_error) if ln_error and ln_base_error else math.nan,
        }

    def rows(self):
        """[(what, text)]: the statistics for a table."""
        told = self._statistics()

        def pair(name, unit=1.0, sign=""):
            return f"{unit * told[name][0]:.6f}{sign} ± {unit * told[name][1]:.6f}{sign}"

        percent = {name: f"{100 * value:.3f}%" for name, value in told["change_quantiles"].items()}
        return [
            ("perplexity", pair("perplexity")),
            ("perplexity of the base", pair("base_perplexity")),
            ("log of their ratio", pair("log_ratio")),
            ("their difference", pair("difference")),
            ("correlation of log p", f"{100 * told['correlation']:.2f}%"),
            ("mean KL", pair("kl")),
            *((f"KL, {name}", f"{value:.6f}") for name, value in told["kl_quantiles"].items()),
            ("same likeliest token", pair("same_top", 100, "%")),
            ("root mean square change of p", pair("rms_change", 100, "%")),
            ("mean change of p", pair("mean_change", 100, "%")),
            *((f"change of p, {name}", value) for name, value in percent.items()),
        ]

    def __str__(self):
        return "\n".join(f"{name:30} {value}" for name, value in self.rows())

    def __repr__(self):
        return f"<Divergence KL {self.kl:.6f} ± {self.kl_error:.6f}: {len(self.kls)} tokens>"

    def _repr_html_(self):
        kls, so_far = np.log10(np.maximum(self.kls, 1e-9)), {"mean KL so far": self.running}
        return together(
            markup(f"<b>KL {self.kl:.5f} ± {self.kl_error:.5f}</b>, same likeliest token {100 * self.same_top:.1f}%"),
            histogram(kls, title="KL of each token, as a power of ten"),
            lines(so_far, np.arange(1, self.chunks + 1), x_label="window") if self.chunks > 2 else "",
            table(self.rows(), ("statistic", "value ± one standard error")),
        )


class Gathered:
    """The numbers of each token, as they come."""

    def __init__(self, **told):
        self.told, self.begin, self.running = told, time.perf_counter(), []
        self.columns = [], [], [], []

    def add(self, base, other, target):
        """A row of logits of the base and of the model, and the text's token."""
        kl, sum_base, sum_other = kl_of_logits(base, other)
        self.append(kl, sum_other - other[target], sum_base - base[target], base.argmax() == other.argmax())

    def append(self, *row):
        """KL, surprise of the model and of the base, the same likeliest token?"""
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)

    def result(self, chunks):
        kls, own, base, same = map(np.array, self.columns)
        self.running.append(float(kls.mean()))
        seconds = time.perf_counter() - self.begin
        return Divergence(kls, own, base, same, chunks=chunks, seconds=seconds, running=list(self.running), **self.told)


def stream(model, base, text_or_ids, n_ctx=None, chunks=None):
    """The Divergence of `model` from the model `base` after each window; the last one is the answer."""
    check_same_words(model, base)
    windows = Windows(base, text_or_ids, n_ctx, chunks)
    ours, theirs = session_for(model, windows.n_ctx), session_for(base, windows.n_ctx)
    gathered = Gathered(n_ctx=windows.n_ctx, base=str(base.path), model=str(model.path))
    for i in range(len(windows)):
        targets = iter(windows.targets(i))
        pieces = (rows_of(session, windows[i], windows.first) for session in (theirs, ours))
        for some, other in zip(*pieces, strict=True):
            for p, q in zip(some, other, strict=True):
                gathered.add(p, q, next(targets))
        yield gathered.result(i + 1)


def check_same_words(model, base):
    """ModelError unless both models speak of the same tokens."""
    for m in (model, base):
        m._need_weights()
        m._need_decoder()
    key = "tokenizer.ggml.tokens"
    if model.n_vocab != base.n_vocab or model.metadata.get(key) != base.metadata.get(key):
        raise ModelError(
            f"the models have different vocabularies ({model.n_vocab} and {base.n_vocab} tokens): probabilities of "
            f"{model.path} cannot be compared with those of {base.path}"
        )
