"""The vocabulary of model files: each word appends records, each has a NumPy twin in `reference`.

Shapes are per token: a value `x` is `x.width` floats; heads stand side by side in it.
"""

from .core import attend, attention, gated_mlp, gelu, output, rms_norm, rope, silu
from .latent import heads_join, heads_matmul, heads_part, latent_attention

__all__ = ["attend", "attention", "gated_mlp", "gelu", "output", "rms_norm", "rope", "silu"]
__all__ += ["heads_join", "heads_matmul", "heads_part", "latent_attention"]
