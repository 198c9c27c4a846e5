"""The vocabulary of model files: each word appends records, each has a NumPy twin in `reference`.

Shapes are per token: a value `x` is `x.width` floats; heads stand side by side in it.
"""

from .core import attend, attention, gated_mlp, gelu, output, rms_norm, rope, silu
from .latent import each_head, join, latent_attention, part

__all__ = [
    "attend", "attention", "each_head", "gated_mlp", "gelu", "join", "latent_attention", "output", "part", "rms_norm",
    "rope", "silu",
]
