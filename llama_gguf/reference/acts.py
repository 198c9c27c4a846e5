"""Twins of nn/acts.py: a function of arrays for each activation."""

import math

import numpy as np

erfc = np.frompyfunc(math.erfc, 1, 1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x**3)))


def gelu_erf(x):
    return 0.5 * x * erfc(-x * 2**-0.5).astype(x.dtype)


def xielu(x, alpha_n, alpha_p, beta, eps):
    above = alpha_p * x * x + beta * x
    return np.where(x > 0, above, alpha_n * (np.expm1(np.minimum(x, np.float32(eps))) - x) + beta * x).astype(x.dtype)


FUNCTIONS = {
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": gelu,
    "gelu_erf": gelu_erf,
    "gelu_quick": lambda x: x * sigmoid(np.float32(1.702) * x),
    "relu": lambda x: np.maximum(x, 0),
    "relu_squared": lambda x: np.maximum(x, 0) ** 2,
    "xielu": xielu,
    "softcap": lambda x, cap: (cap * np.tanh(x / cap)).astype(x.dtype),
    "clamp": np.clip,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
}


def do_act(g, r, x):
    return FUNCTIONS[r.attrs["fn"]](x, *r.attrs["f"])
