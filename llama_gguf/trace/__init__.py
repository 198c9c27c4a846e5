"""Watch and edit the values of a forward pass, by GGUF's names or TransformerLens's.

    with model.trace("The capital of France is") as t:
        pattern = t["blk.3.attn_pattern"]        # (heads, queries, keys)
        t["blk.5.resid_post"][:] += direction    # takes effect on everything after it
        t.logits                                 # (tokens, n_vocab)

The pass advances as values are asked for: `t[name]` runs the model up to `name` and hands out a copy of what it made.
What you write into that array goes back into the model when the pass moves on; from then on it is read-only. A value
that has gone by is fetched by running again, with all edits so far; it can be read, but no longer changed.

    with model.trace("Once upon a time", max_tokens=16) as t:
        for step in t.generate(temperature=0.8):       # each token is a pass of its own, on the same cache
            step["blk.5.resid_post"][:] += direction
            print(step.text, end="")
"""

from .activations import ActivationCache, Hook, run_with_cache, run_with_hooks
from .names import Names
from .run import Step, Trace

__all__ = ["ActivationCache", "Hook", "Names", "Step", "Trace", "run_with_cache", "run_with_hooks"]
