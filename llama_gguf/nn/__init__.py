"""The vocabulary of model files: each word appends records, each has a NumPy twin in `reference`.

Shapes are per token: a value `x` is `x.width` floats; heads stand side by side in it.
"""

from .acts import clamp, gelu, gelu_erf, gelu_quick, relu, relu_squared, sigmoid, silu, softcap, tanh, xielu
from .attention import attend, attention, query_key_value, rope, temper
from .core import gated_mlp, layer_norm, learned_positions, mlp, output, part, rms_norm, split
from .experts import moe, moe_or_mlp, swiglu_oai

__all__ = [
    "attend",
    "attention",
    "clamp",
    "gated_mlp",
    "gelu",
    "gelu_erf",
    "gelu_quick",
    "layer_norm",
    "learned_positions",
    "mlp",
    "moe",
    "moe_or_mlp",
    "output",
    "part",
    "query_key_value",
    "relu",
    "relu_squared",
    "rms_norm",
    "rope",
    "sigmoid",
    "silu",
    "softcap",
    "split",
    "swiglu_oai",
    "tanh",
    "temper",
    "xielu",
]
