"""How large values are: norms of the residual stream, statistics and outliers of any value, loads of experts."""

from dataclasses import dataclass

import numpy as np

from .. import pictures
from ..errors import ModelError
from .head import pieces, read

OUTLIER = 6.0  # times the root mean square (arXiv 2208.07339 counts values beyond 6 of a unit scale)


@dataclass(repr=False)
class Norms:
    """Root mean squares: `resid` (layers + 1, tokens) before the first layer and after each, `attn_out` and `ffn_out`
    (layers, tokens) of what layers add, NaN where one does not.
    """

    tokens: list
    resid: np.ndarray
    attn_out: np.ndarray
    ffn_out: np.ndarray

    def __repr__(self):
        return f"<Norms of {len(self.tokens)} tokens through {len(self.attn_out)} layers>"

    def _repr_html_(self):
        rows = ["embedding", *(f"after {i}" for i in range(len(self.attn_out)))]
        cols = [f"{i} {t}" for i, t in enumerate(self.tokens)]
        means = {"residual": self.resid[1:], "attn_out": self.attn_out, "ffn_out": self.ffn_out}
        means = {name: x.mean(-1) for name, x in means.items() if np.isfinite(x).any()}
        return pictures.together(
            pictures.lines(means, title="root mean square, mean of all tokens", x_label="layer", log=True),
            pictures.heat_map(np.log10(self.resid), rows, cols, title="residual: log10 of the root mean square"),
        )


def norms(model, text_or_ids):
    """Norms of a text."""
    ids = read(model, text_or_ids)
    wanted = ("resid_pre", "resid_post", "attn_out", "ffn_out")
    _, cache = model.run_with_cache(ids, lambda n: n.startswith("blk.") and n.split(".", 2)[2] in wanted)
    layers, missing = range(model.h.layers), np.full(len(ids), np.nan)
    resid = ["blk.0.resid_pre", *(f"blk.{i}.resid_post" for i in layers)]
    out = {w: [rms(cache[n]) if (n := f"blk.{i}.{w}") in cache else missing for i in layers] for w in wanted[2:]}
    return Norms(pieces(model, ids), np.stack([rms(cache[n]) for n in resid]), *map(np.stack, out.values()))


def rms(x):
    return np.sqrt((x.astype(np.float64) ** 2).mean(-1))


@dataclass(repr=False)
class Statistics:
    """One row for each value: a dict with name, mean, std, rms, max (of sizes), outliers (share of numbers beyond 6
    root mean squares), kurtosis (0: as a normal distribution), zeros (share), nan, channel and token of the maximum.
    """

    tokens: list
    rows: list

    def __getitem__(self, name):
        return next(row for row in self.rows if row["name"] == name)

    def worst(self, by="kurtosis", n=10):
        """The rows with the largest numbers in a column."""
        return sorted(self.rows, key=lambda row: -row[by])[:n]

    def __repr__(self):
        return f"<Statistics of {len(self.rows)} values, {len(self.tokens)} tokens>"

    def _repr_html_(self):
        return pictures.table(self.rows, title="values of the pass")


def statistics(model, text_or_ids, names=("*.resid_post", "*.attn_out", "*.ffn_out", "*.ffn_act")):
    """Statistics of the values that `names` selects. Memory is that of one value at a time."""
    ids = read(model, text_or_ids)
    trace = model.trace(ids, [n for n in names if any_of(model, n)] if isinstance(names, list | tuple) else names)
    rows = [summary(value.name, trace.shaped(value)) for value in in_order(trace)]
    return Statistics(pieces(model, ids), rows)


def any_of(model, name):
    from ..trace import Names

    try:
        return bool(Names(model.graph).find(name))
    except KeyError:
        return False


def in_order(trace):
    return sorted(trace.kept, key=trace.session.task)


def summary(name, x):
    x = np.where(np.isneginf(x), np.nan, x).astype(np.float64)  # scores that are not to be seen
    sizes, good = np.abs(x), np.isfinite(x)
    mean, std = x[good].mean(), x[good].std()
    size = np.sqrt((x[good] ** 2).mean())
    at = np.unravel_index(np.argmax(np.where(good, sizes, -1)), x.shape)
    return {
        "name": name, "mean": float(mean), "std": float(std), "rms": float(size), "max": float(sizes[at]),
        "outliers": float((sizes[good] > OUTLIER * size).mean()),
        "kurtosis": float((((x[good] - mean) / (std or 1)) ** 4).mean() - 3),
        "zeros": float((x[good] == 0).mean()), "nan": int(np.isnan(x).sum()),
        "channel": int(at[-1]), "token": int(at[0]),
    }


@dataclass(repr=False)
class Routing:
    """Which experts each token met: by layer `ids` and `weights` (tokens, used), and `load` (layers, experts), the
    share of all choices that fell on an expert.
    """

    tokens: list
    layers: list
    ids: dict
    weights: dict
    load: np.ndarray

    def __repr__(self):
        return f"<Routing of {len(self.tokens)} tokens through {len(self.layers)} mixtures of {self.load.shape[1]}>"

    def _repr_html_(self):
        rows = [f"layer {i}" for i in self.layers]
        cols = [f"{i} {t}" for i, t in enumerate(self.tokens)]
        experts = [str(i) for i in range(self.load.shape[1])]
        first = np.stack([self.ids[layer][:, 0] for layer in self.layers])
        return pictures.together(
            pictures.heat_map(self.load, rows, experts, title="load of the experts"),
            pictures.heat_map(first, rows, cols, title="first expert of each token"),
        )


def routing(model, text_or_ids):
    """Routing of a text; ModelError if no layer has experts."""
    ids = read(model, text_or_ids)
    if model.h.routing is None:
        raise ModelError("this model has no experts", path=str(model.path))
    count = model.h.routing.count
    _, cache = model.run_with_cache(ids, ["blk.*.ffn_moe_topk", "blk.*.ffn_moe_weights"])
    layers = sorted({int(name.split(".")[1]) for name in cache})
    chosen = {layer: cache[f"blk.{layer}.ffn_moe_topk"].astype(int) for layer in layers}
    weights = {layer: cache[f"blk.{layer}.ffn_moe_weights"] for layer in layers}
    load = [np.bincount(chosen[layer].reshape(-1), minlength=count) / chosen[layer].size for layer in layers]
    return Routing(pieces(model, ids), layers, chosen, weights, np.stack(load))
