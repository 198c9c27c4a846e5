"""A whole pass in one call: with a cache of its values, or with functions that see and change them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .passes import is_pattern
from .run import Trace


class ActivationCache(Mapping):
    """Values of a pass by name. GGUF's and TransformerLens's names are the same entry: `cache["resid_post", 5]`."""

    def __init__(self, names, arrays):
        self.names, self._arrays = names, arrays

    def __getitem__(self, name):
        found = [v for v in self.names.find(name) if v.name in self._arrays]
        if not found:
            raise KeyError(f"{name!r} was not kept; kept were {', '.join(list(self._arrays)[:8])} ...")
        arrays = [self._shaped(v) for v in found]
        return np.stack(arrays) if is_pattern(name) else arrays[0]

    def _shaped(self, value):
        array = self._arrays[value.name]
        return array.reshape(len(array), value.heads, -1) if value.heads else array

    def __iter__(self):
        return iter(self._arrays)

    def __len__(self):
        return len(self._arrays)

    def __contains__(self, name):
        try:
            return any(v.name in self._arrays for v in self.names.find(name))
        except KeyError:
            return False

    def _ipython_key_completions_(self):
        return list(self._arrays)

    @property
    def nbytes(self):
        return sum(array.nbytes for array in {id(a): a for a in self._arrays.values()}.values())

    def __repr__(self):
        return f"<ActivationCache of {len(self)} values, {self.nbytes:,} bytes>"


@dataclass(frozen=True)
class Hook:
    """Where a hook function was called."""

    name: str

    @property
    def layer(self):
        """The number of the layer, or None outside of layers."""
        parts = self.name.split(".")
        return int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else None


def run_with_cache(model, ids, names=None):
    """(logits, ActivationCache): all values of a pass, or those that `names` selects, as Trace takes them.

    The arrays may be written to: they belong to the caller, and the pass is over.
    """
    trace = Trace(model, ids, (lambda name: name != "logits") if names is None else names)
    logits = trace.logits
    arrays = {value.name: trace[value.name] for value in trace.kept}
    for array in arrays.values():
        array.flags.writeable = True
    return logits, ActivationCache(trace.session.names, arrays)


def run_with_hooks(model, ids, hooks):
    """Logits of a pass in which functions see and change values.

    hooks: (name, function) pairs; the name as in Trace, the function called as f(value, hook=Hook(name)). It may write
    into the value, or return what is to take its place.
    """
    trace = Trace(model, ids, [name for name, _ in hooks] or "logits")
    session = trace.session
    calls = [(value, function) for name, function in hooks for value in session.names.select(name)]
    for value, function in sorted(calls, key=lambda call: session.task(call[0])):
        array = trace.shaped(value)
        changed = function(array, hook=Hook(value.name))
        if changed is not None:
            array[...] = changed
    return trace.logits
