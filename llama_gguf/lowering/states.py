"""Recurrent layers: their tasks read and leave a state, and their small weights lie as the kernels want them."""

import numpy as np

from .acts import ACTS
from .task import Laid

UNIT = 32


class States:
    """Methods of Lowering."""

    def do_softplus(self, r):
        bias = r.attrs["weight"]
        self.add(self.task(r, vectors={"bias": Laid(bias.tensor, padded)} if bias else {}))

    def do_l2_norm(self, r):
        self.add(self.task(r, n=(r.attrs["heads"],), f=(r.attrs["eps"],)))

    def do_conv(self, r):
        w, fn = r.attrs["weight"], r.attrs.get("fn")
        vectors = {"gain": Laid(w.tensor, columns)} | ({"bias": Laid(w.bias, padded)} if w.bias is not None else {})
        n = (r.attrs["taps"], -1 if fn is None else ACTS[fn])
        self.add(self.task(r, n=n, f=r.attrs.get("f", ()), state=r.attrs["state"], vectors=vectors))

    def do_scan(self, r):
        heads, groups = r.attrs["heads"], r.attrs["groups"]
        each = heads == r.out.width
        kind, layout = ("scan", units) if each else ("scan_heads", padded)
        vectors = {"gain": Laid(r.attrs["a"].tensor, layout), "bias": Laid(r.attrs["d"].tensor, padded)}
        n = (heads, groups, r.inputs[2].width // groups)
        self.add(self.task(r, kind, "abcd", n=n, state=r.attrs["state"], vectors=vectors))

    def do_delta(self, r):
        heads, groups = r.attrs["heads"], r.attrs["groups"]
        n = (heads, groups, r.inputs[0].width // groups)
        vectors = {"gain": Laid(r.attrs["a"].tensor, padded)}
        self.add(self.task(r, None, "abcde", n=n, f=(r.attrs["scale"],), state=r.attrs["state"], vectors=vectors))


def padded(values):
    """A vector with room to the end of a unit."""
    values = values.reshape(-1)
    return np.pad(values, (0, -len(values) % UNIT))


def columns(values):
    """(channels, taps) to (taps, whole units of channels)."""
    return np.pad(values, ((0, -len(values) % UNIT), (0, 0))).T


def units(values):
    """(channels, state) to (units of channels, state, UNIT)."""
    whole = np.pad(values, ((0, -len(values) % UNIT), (0, 0)))
    return whole.reshape(-1, UNIT, values.shape[1]).transpose(0, 2, 1)
