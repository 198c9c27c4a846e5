"""What to do with the values of a pass: predictions, attribution, attention, sizes, routing, sweeps, steering.

    from llama_gguf import Model, lens

    with Model.from_pretrained("smollm2") as m:
        lens.logit_lens(m, "The capital of France is")          # what each layer would predict
        lens.attribution(m, "The capital of France is", by="head").top(5)
        lens.induction(m).top("induction")                      # [(layer, head, score)]
        lens.patch(m, "The capital of France is", "The capital of Italy is").restored

Functions take a model and a text (or token ids) and give small objects: arrays, and a picture in a notebook.
"""

from .attention import Heads, attention, induction
from .attribution import Attribution, attribution
from .head import Head
from .predictions import LogitLens, TopTokens, logit_lens, top_tokens
from .steering import SteeringVector, train_steering
from .sweeps import Sweep, ablate, ablate_heads, log_probability, logit_difference, patch
from .values import Norms, Routing, Statistics, norms, routing, statistics

__all__ = [
    "Attribution",
    "Head",
    "Heads",
    "LogitLens",
    "Norms",
    "Routing",
    "Statistics",
    "SteeringVector",
    "Sweep",
    "TopTokens",
    "ablate",
    "ablate_heads",
    "attention",
    "attribution",
    "induction",
    "log_probability",
    "logit_difference",
    "logit_lens",
    "norms",
    "patch",
    "routing",
    "statistics",
    "top_tokens",
    "train_steering",
]
