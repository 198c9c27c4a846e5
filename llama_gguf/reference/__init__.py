"""The words of `nn` in NumPy, evaluated at once in float32: the oracle of the engine, and the engine to teach with.

    ref = Reference(model)
    logits = ref.logits([1, 2, 3])      # (3, n_vocab)
    ref["blk.0.attn_pattern"]           # any named value of that pass

The same model files run here; only `emit` differs: it computes where a Graph records.
"""

import numpy as np

from ..forward import trace
from ..graph import Act, Graph, Weights
from . import acts, attention, core, encoders, experts, latent, states, streams

GROUPS = core, acts, attention, encoders, experts, latent, states, streams
TWINS = {name: twin for group in GROUPS for name, twin in vars(group).items()}


class Reference(Graph):
    """A Graph whose values have numbers. `edits`: name -> function of the value, applied as it is made."""

    def __init__(self, model, edits=None):
        super().__init__(model.h, getattr(model, "n_ctx", None))
        self.model, self.edits = model, edits or {}
        self._numbers, self.kept = {}, {}  # kept: keys and values of each layer, that others may read

    def logits(self, ids, layers=None, residual=None):
        """float32 (len(ids), n_vocab); with `layers` as in graph.trace, residuals in or out instead."""
        return self._run(ids, layers, residual)

    def hidden(self, ids):
        """float32 (len(ids), width): what logits would be made of."""
        return self._run(ids, states=True)

    def _run(self, ids, layers=None, residual=None, states=False):
        self.ids, self.residual = np.asarray(ids), residual
        self.positions = np.arange(len(self.ids if residual is None else residual))
        self.names.clear(), self.shared.clear()
        return trace(self, self.model.family, Weights(self, self.model.tensors), layers, states).value

    def rank(self, vector):
        """The scores that a family's ranking head gives to a text's vector: float32 (scores,)."""
        return self._head(self.model.family.rank, vector[None])[0]

    def project(self, vectors):
        """What the last layers of a family make of pooled vectors: float32 (n, width)."""
        return self._head(self.model.family.project, vectors)

    def _head(self, head, rows):
        self.names.clear()
        x = Act(self, -1, rows.shape[1], value=rows)
        return head(Weights(self, self.model.tensors), x, self.h).value

    def __getitem__(self, name):
        return self.names[name].value

    def number(self, tensor):
        """A tensor as float32, dequantized once."""
        if tensor.name not in self._numbers:
            self._numbers[tensor.name] = tensor.numpy()
        return self._numbers[tensor.name]

    def finish(self, record):
        values = [x.value for x in record.inputs]
        record.out.value = TWINS[f"do_{record.kind}"](self, record, *values)
        self.edit(record.name, record.out)

    def alias(self, name, act):
        if name not in self.names:
            super().alias(name, act)
            self.edit(name, act)

    def named(self, name, value):
        """A value inside a record that a trace shows too, like attn_pattern (heads, queries, keys)."""
        act = Act(self, -1, value.shape[-1], name=self.scope + name, value=value)
        self.names[act.name] = act
        self.edit(act.name, act)
        return act.value

    def edit(self, name, act):
        if name in self.edits:
            act.value = self.edits[name](act.value)
