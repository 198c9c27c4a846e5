"""Rotary positions: frequencies, and the many ways to stretch them to longer contexts."""

import math
from dataclasses import dataclass

import numpy as np

from .errors import ModelError


@dataclass(frozen=True)
class Rope:
    """Rotary positions: `kind` "norm" (pairs 2i, 2i + 1) or "neox" (pairs i, i + dim / 2), over the first `dim`."""

    kind: str
    dim: int
    base: float
    scaling: str = "none"
    factor: float = 1.0
    original_context: int = 0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float = 1.0
    log_multiplier: float = 0.0
    extrapolated: float = 1.0  # how much of YaRN's ramp counts
    divisors: tuple | None = None  # of each frequency (rope_freqs.weight), as Llama 3.1 has them
    whole: bool = True  # YaRN's ramp begins and ends at whole pairs
    short: tuple | None = None  # LongRoPE's divisors (arXiv 2402.13753) for contexts up to the original one
    long: tuple | None = None  # and for longer ones

    def frequencies(self, n_ctx=None):
        """Radians per position of each pair: float64 (dim / 2,), in a context of n_ctx positions."""
        plain = self.base ** (-np.arange(self.dim // 2) * 2.0 / self.dim)
        divisors = self.divisors or (self.long if (n_ctx or 0) > self.original_context else self.short)
        if divisors is not None:
            plain = plain / np.asarray(divisors)
        if self.scaling == "none":
            return plain
        if self.scaling == "yarn":
            keep = (1 - self._ramp()) * self.extrapolated
            return plain / self.factor * (1 - keep) + plain * keep
        return plain / self.factor

    def _ramp(self):
        """YaRN (arXiv 2309.00071): 0 keeps a pair's frequency, 1 stretches it."""
        def pair_of(turns):  # the pair that turns so often within the original context
            return self.dim * math.log(self.original_context / (turns * 2 * math.pi)) / (2 * math.log(self.base))

        low, high = pair_of(self.beta_fast), pair_of(self.beta_slow)
        if self.whole:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(0, low), min(self.dim - 1, high)
        return np.clip((np.arange(self.dim // 2) - low) / max(0.001, high - low), 0, 1)

    @property
    def magnitude(self):
        """Factor of rotated values: YaRN sharpens attention by a little."""
        if self.scaling != "yarn" or self.factor <= 1 or not self.extrapolated:
            return self.attention_factor
        sharpened = 0.1 * math.log(self.factor) + 1
        if self.log_multiplier:
            sharpened /= 0.1 * self.log_multiplier * math.log(self.factor) + 1
        return self.attention_factor * sharpened


def read(meta, kind, head_dim, tensors):
    """The Rope that metadata and tensors of factors describe; None for models without."""
    if kind is None:
        return None
    dim = meta.int(".rope.dimension_count", head_dim, lo=2, hi=head_dim)
    if dim % 2:
        raise meta.error(".rope.dimension_count", f"is {dim}, but positions rotate pairs")
    scaling = meta.str(".rope.scaling.type", "linear", choices=("none", "linear", "yarn", "longrope"))
    factor = meta.float(".rope.scaling.factor", 0.0, lo=0.0) or meta.float(".rope.scale_linear", 0.0, lo=0.0) or 1.0
    short, long = (divisors(tensors, f"rope_factors_{name}.weight", dim) for name in ("short", "long"))
    if (short is None) != (long is None) or (scaling == "longrope" and short is None):
        missing = "short" if short is None else "long"
        raise ModelError(f"tensor rope_factors_{missing}.weight is missing", tensor=f"rope_factors_{missing}.weight")
    extrapolated = meta.float(".rope.scaling.yarn_ext_factor", 1.0, lo=-1.0)
    return Rope(
        kind=kind,
        dim=dim,
        base=stretched(meta, meta.float(".rope.freq_base", 10000.0, above=1.0), head_dim),
        scaling=scaling,
        factor=factor,
        original_context=meta.int(".rope.scaling.original_context_length", meta.int(".context_length"), lo=1),
        beta_fast=meta.float(".rope.scaling.yarn_beta_fast", 32.0, above=0.0),
        beta_slow=meta.float(".rope.scaling.yarn_beta_slow", 1.0, above=0.0),
        attention_factor=meta.float(".rope.scaling.attn_factor", 1.0, above=0.0),
        log_multiplier=meta.float(".rope.scaling.yarn_log_multiplier", 0.0),
        extrapolated=extrapolated if extrapolated >= 0 else 1.0,  # -1: as the type of scaling has it
        divisors=divisors(tensors, "rope_freqs.weight", dim),
        short=short,
        long=long,
    )


def stretched(meta, base, dim):
    """NTK-aware scaling (Hunyuan): a larger base instead of slower positions."""
    alpha = meta.float(".rope.scaling.alpha", 0.0, lo=0.0)
    return base * alpha ** (dim / (dim - 2)) if alpha and dim > 2 else base


def divisors(tensors, name, dim):
    tensor = tensors.get(name)
    if tensor is None:
        return None
    values = tensor.numpy()
    if values.shape != (dim // 2,) or not (np.isfinite(values).all() and (values > 0).all()):
        raise ModelError(
            f"tensor {name} must hold {dim // 2} positive numbers, found shape {values.shape}", tensor=name
        )
    return tuple(values.tolist())


def sections(meta):
    """How many pairs turn with time, height, width of a picture's parts; () for models of texts alone.

    In a text all are the position itself. A fourth section would be something else.
    """
    key = ".rope.dimension_sections"
    if not meta.has(key):
        return ()
    found = list(meta.array(key, "int"))
    if any(found[3:]):
        raise meta.error(key, f"is {found}: a fourth section is not supported")
    return tuple(found) if all(x > 0 for x in found[:2]) else ()
