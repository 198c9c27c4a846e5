"""How good a model is, and what quantization did to it: perplexity, divergence, damage layer by layer.

Everything is asked of a Model: m.perplexity(text), m.kl_divergence(base, text), m.score(text), m.quant_damage(base,
text), m.with_tensor(name, type), m.sensitivity(type, text). The modules have the same as generators, a result after
each piece of work, for whoever shows progress or stops in the middle.
"""

from .asked import Evaluation

__all__ = ["Evaluation"]
