"""The vocabulary of model files: each word appends records, each has a NumPy twin in `reference`.

Shapes are per token: a value `x` is `x.width` floats; heads stand side by side in it.
"""

from .core import attend, attention, gated_mlp, gelu, output, rms_norm, rope, silu
from .states import (
    conv,
    delta_net,
    delta_rule,
    group_norm,
    l2_norm,
    mamba,
    mamba2,
    scan,
    short_conv,
    sigmoid,
    softplus,
    split,
    unit_norm,
)

__all__ = [
    "attend",
    "attention",
    "conv",
    "delta_net",
    "delta_rule",
    "gated_mlp",
    "gelu",
    "group_norm",
    "l2_norm",
    "mamba",
    "mamba2",
    "output",
    "rms_norm",
    "rope",
    "scan",
    "short_conv",
    "sigmoid",
    "silu",
    "softplus",
    "split",
    "unit_norm",
]
