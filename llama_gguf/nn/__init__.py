"""The vocabulary of model files: each word appends records, each has a NumPy twin in `reference`.

Shapes are per token: a value `x` is `x.width` floats; heads stand side by side in it.
"""

from .acts import clamp, gelu, gelu_erf, gelu_quick, relu, relu_squared, sigmoid, silu, softcap, softmax, tanh, xielu
from .attention import attend, attention, query_key_value, rope, shared_attention, temper
from .core import gated_mlp, layer_norm, learned_positions, mlp, output, part, rms_norm, split
from .encoders import first_row
from .experts import moe, moe_or_mlp, swiglu_oai
from .latent import heads_join, heads_matmul, heads_part, latent_attention
from .states import conv, delta_net, delta_rule, l2_norm, mamba, mamba2, scan, short_conv, softplus, split_heads
from .streams import sparse, times_vector

__all__ = [
    "attend",
    "attention",
    "clamp",
    "conv",
    "delta_net",
    "delta_rule",
    "first_row",
    "gated_mlp",
    "gelu",
    "gelu_erf",
    "gelu_quick",
    "heads_join",
    "heads_matmul",
    "heads_part",
    "l2_norm",
    "latent_attention",
    "layer_norm",
    "learned_positions",
    "mamba",
    "mamba2",
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
    "scan",
    "shared_attention",
    "short_conv",
    "sigmoid",
    "silu",
    "softcap",
    "softmax",
    "softplus",
    "sparse",
    "split",
    "split_heads",
    "swiglu_oai",
    "tanh",
    "temper",
    "times_vector",
    "xielu",
]
