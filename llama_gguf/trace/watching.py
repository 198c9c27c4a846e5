"""What a model offers to those who want to look inside and change what they see."""

from contextlib import contextmanager

import numpy as np

from . import activations
from .run import Trace


class Watching:
    """The methods of Model that run watched passes."""

    steering = {}  # layer: what is added to the values that leave it; see `steer`
    _steers = {}  # (vector, strength) of each `steer` that is going on, by a key of its own

    def trace(self, text_or_ids, names=None, max_tokens=0):
        """Watch and edit the values of a pass, and of up to `max_tokens` tokens after it; see trace.Trace.

        Without `names` nothing is fused, so that a packed model's 8-bit roundings fall differently than in `logits`:
        compare such traces with each other. With `exact=True` all agree to float32 rounding.
        """
        self._need_weights()
        return Trace(self, self.ids(text_or_ids), names, max_tokens)

    def run_with_cache(self, text_or_ids, names=None):
        """(logits, values by name) of a pass: float32 (tokens, n_vocab) and a trace.ActivationCache.

        names: a name, a pattern, a function of the name, or a list of such; None keeps every value.

            logits, cache = model.run_with_cache("The capital of France is", "blk.*.resid_post")
            cache["blocks.5.hook_resid_post"]; cache["resid_post", 5]
        """
        self._need_weights()
        return activations.run_with_cache(self, self.ids(text_or_ids), names)

    def run_with_hooks(self, text_or_ids, hooks):
        """Logits of a pass with functions called on values: hooks=[(name, f)], f(value, hook) edits or replaces it."""
        self._need_weights()
        return activations.run_with_hooks(self, self.ids(text_or_ids), hooks)

    @contextmanager
    def steer(self, vector, strength=1.0):
        """Add a lens.SteeringVector, times `strength`, behind its layers: in all that runs within, at full speed.

            with model.steer(SteeringVector.load("joy.gguf"), 1.5):
                model.generate("The film was")

        Steering within steering adds up. Streams, sessions and traces keep what they began with.
        """
        self._need_weights()
        vector.check(self)
        with self._lock:
            mine, before, kept = object(), self._steers, (self._session, self._embedder)
            self._steer({**before, mine: (vector, np.float32(strength))})
        try:
            yield self
        finally:
            with self._lock:
                if self.graph is not None:
                    left = {key: one for key, one in self._steers.items() if key is not mine}
                    same = left.keys() == before.keys()  # else another thread began or ended meanwhile
                    self._steer(left, *(kept if same else ()))

    def _steer(self, steers, session=None, embedder=None):
        """Steer by these from now on. `session` and `embedder` are what was made while just these were in force."""
        self._steers, added = steers, {}
        for vector, strength in steers.values():
            for i in sorted(vector.directions):
                added[i] = added.get(i, 0) + vector.at(i) * strength
        self.steering, self._session, self._embedder = dict(sorted(added.items())), session, embedder
