"""What happens to a tensor between the two formats, by name, with its inverse.

`neighbours("heads")` in a family's table stands for a step whose argument is looked up in the model's Config when a
conversion is planned: an attribute, a key of config.json, or a function of the Config. Steps move rows and columns
about, whatever the numbers mean, unless `values` is set: those see float32 and return it.
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Step:
    forward: object
    backward: object
    values: bool = False
    reshapes: bool = False
    arguments: tuple = ()

    def __call__(self, *arguments):
        return replace(self, arguments=arguments)

    def bound(self, config):
        """The step with its arguments looked up."""
        return self(*(_look_up(config, a) for a in self.arguments))

    def apply(self, x):
        return self.forward(x, *self.arguments)

    def undo(self, x):
        return self.backward(x, *self.arguments)


def _look_up(config, argument):
    if callable(argument):
        return argument(config)
    if not isinstance(argument, str):
        return argument
    return getattr(config, argument) if hasattr(type(config), argument) else config.need(argument)


def step(backward, values=False, reshapes=False):
    """The function below as a Step; `backward` undoes it."""
    return lambda forward: Step(forward, backward, values, reshapes)


def _to_halves(x, heads):
    return x.reshape(heads, -1, 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


@step(_to_halves)
def neighbours(x, heads):
    """Rows i and i + d/2 of a head of d rows, which transformers turns together, become rows 2i and 2i + 1."""
    return x.reshape(heads, 2, -1, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def _to_neighbours(x, head_dim, turned):
    heads = x.reshape(-1, head_dim, *x.shape[1:])
    first, second = heads[:, : turned // 2], heads[:, turned // 2 : turned]
    pairs = np.stack((first, second), axis=2).reshape(len(heads), turned, *x.shape[1:])
    return np.concatenate((pairs, heads[:, turned:]), axis=1).reshape(x.shape)


@step(_to_neighbours)
def halves(x, head_dim, turned):
    """The inverse of `neighbours` for the first `turned` rows of each head."""
    heads = x.reshape(-1, head_dim, *x.shape[1:])
    parts = heads[:, :turned:2], heads[:, 1:turned:2], heads[:, turned:]
    return np.concatenate(parts, axis=1).reshape(x.shape)


@step(lambda x: x - np.float32(1), values=True)
def plus_one(x):
    """Norms that transformers multiplies by 1 + weight."""
    return x + np.float32(1)


def exp(x):
    """float32, rounded from double precision: one unit of the last place nearer than most exp of float32."""
    return np.exp(x.astype(np.float64)).astype(np.float32)


@step(lambda x: np.log(-x.astype(np.float64)).astype(np.float32), values=True)
def minus_exp(x):
    """A of a state-space layer from its logarithm."""
    return -exp(x)


@step(lambda x, factor: (x / np.float32(factor)), values=True)
def scaled(x, factor):
    return x * np.float32(factor)


@step(lambda x: x.swapaxes(-1, -2), reshapes=True)
def transposed(x):
    return x.swapaxes(-1, -2)


@step(lambda x: x[:, None], reshapes=True)
def squeezed(x):
    """A convolution of each channel for itself: (channels, 1, taps) to (channels, taps)."""
    return x.reshape(x.shape[0], x.shape[-1])


@step(lambda x: x.reshape(-1), reshapes=True)
def column(x):
    return x.reshape(-1, 1)


@step(lambda x: x.reshape(1, -1), reshapes=True)
def flat(x):
    """A row of a matrix that has one only."""
    return x.reshape(-1)


@step(lambda x, groups: x.reshape(-1), reshapes=True)
def grouped(x, groups):
    return x.reshape(groups, -1)


def _interleaved(x, heads, kv_heads):
    head_dim = len(x) // (heads + 2 * kv_heads)
    q, k, v = np.split(x, (heads * head_dim, (heads + kv_heads) * head_dim))
    parts = [part.reshape(kv_heads, -1, head_dim, *x.shape[1:]) for part in (q, k, v)]
    return np.concatenate(parts, axis=1).reshape(x.shape)


@step(_interleaved)
def by_kind(x, heads, kv_heads):
    """A fused matrix whose groups hold some queries, a key and a value each: all queries, all keys, all values."""
    groups = x.reshape(kv_heads, heads // kv_heads + 2, -1, *x.shape[1:])
    parts = groups[:, :-2], groups[:, -2], groups[:, -1]
    return np.concatenate([part.reshape(-1, *x.shape[1:]) for part in parts])


@step(None, reshapes=True)
def rows_from(x, first):
    """All rows but the `first` ones. They cannot be had back."""
    return x[first:]


@step(None, reshapes=True)
def first_rows(x, n):
    """No more than `n` rows: those behind have no token. They cannot be had back."""
    return x[:n]


@step(None, reshapes=True)
def as_many_rows(x, n):
    """`n` rows: those behind are left out, and zero where there are fewer. They cannot be had back."""
    return np.concatenate((x[:n], np.zeros((max(0, n - len(x)), *x.shape[1:]), x.dtype)))


@step(None, values=True)
def ones_unless(x, used):
    """Factors that config.json may leave unused. They cannot be had back."""
    return x if used else np.ones_like(x)


def _tiled(x, keys, values, width, axis=0):
    x = np.moveaxis(x, axis, 0)
    out = x.reshape(keys, values // keys, width, *x.shape[1:]).swapaxes(0, 1).reshape(x.shape)
    return np.moveaxis(out, 0, axis)


def _behind(rows, x, *arguments):
    """`_tiled` of what comes after the first `rows` rows."""
    return np.concatenate((x[:rows], _tiled(x[rows:], *arguments)))


@step(lambda x, keys, values, width: _tiled(x, values // keys, values, width))
def tiled(x, keys, values, width):
    """Value heads grouped by their key head, to one of each key in turn: (keys, n) to (n, keys) heads of `width`."""
    return _tiled(x, keys, values, width)


@step(lambda x, keys, values, width: _tiled(x, values // keys, values, width, axis=1), reshapes=True)
def tiled_columns(x, keys, values, width):
    return _tiled(x, keys, values, width, axis=1)


@step(lambda x, keys, values, width, key_width: _behind(2 * keys * key_width, x, values // keys, values, width))
def tiled_behind(x, keys, values, width, key_width):
    """`tiled` of the values in a fused matrix of queries, keys and values."""
    return _behind(2 * keys * key_width, x, keys, values, width)
