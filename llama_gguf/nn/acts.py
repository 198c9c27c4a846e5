"""Activations and other functions of single values. A product with one runs as one record with it."""


def _act(x, fn, *f):
    return x.graph.emit("act", x, width=x.width, fn=fn, f=tuple(map(float, f)))


def silu(x):
    return _act(x, "silu")


def gelu(x):
    """The tanh form."""
    return _act(x, "gelu")


def gelu_erf(x):
    """x times the normal distribution function, exactly."""
    return _act(x, "gelu_erf")


def gelu_quick(x):
    """x * sigmoid(1.702 x)"""
    return _act(x, "gelu_quick")


def relu(x):
    return _act(x, "relu")


def relu_squared(x):
    """max(x, 0)**2 (Primer, arXiv 2109.08668)."""
    return _act(x, "relu_squared")


def xielu(x, alpha_n, alpha_p, beta, eps):
    """alpha_p x**2 + beta x above 0, alpha_n (e**min(x, eps) - 1 - x) + beta x below (arXiv 2411.13010)."""
    return _act(x, "xielu", alpha_n, alpha_p, beta, eps)


def softcap(x, cap):
    """cap * tanh(x / cap); x itself if cap is 0."""
    return _act(x, "softcap", cap) if cap else x


def clamp(x, least, most):
    return _act(x, "clamp", least, most)


def sigmoid(x):
    return _act(x, "sigmoid")


def tanh(x):
    return _act(x, "tanh")


def softmax(x):
    return x.graph.emit("gate_probs", x, width=x.width, gating="softmax")
