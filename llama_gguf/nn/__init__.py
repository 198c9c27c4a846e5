"""The vocabulary of model files: each word appends records, each has a NumPy twin in `reference`.

Shapes are per token: a value `x` is `x.width` floats; heads stand side by side in it.
"""

from .core import attend, attention, gated_mlp, gelu, output, rms_norm, rope, silu
from .experts import moe, moe_or_mlp, swiglu_oai

__all__ = ["attend", "attention", "gated_mlp", "gelu", "output", "rms_norm", "rope", "silu"]
__all__ += ["moe", "moe_or_mlp", "swiglu_oai"]
