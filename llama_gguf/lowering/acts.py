"""Numbers of the functions of single values, as pyx/isa/acts.pxi knows them."""

NAMES = "silu gelu gelu_erf gelu_quick relu relu_squared xielu softcap clamp sigmoid tanh"
ACTS = {name: i for i, name in enumerate(NAMES.split())}
