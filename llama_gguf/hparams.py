"""Hyperparameters: what the metadata says about the shape of a model, checked before any tensor is touched."""

import math
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np

from .errors import ModelError

LAYERS, HEADS, WIDTH, VOCABULARY, CONTEXT = 1024, 4096, 1 << 20, 1 << 24, 1 << 28
STATE = 1 << 16
"""More than any model has."""


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
    divisors: tuple | None = None  # of each frequency (rope_freqs.weight), as Llama 3.1 has them

    def frequencies(self):
        """Radians per position of each pair: float64 (dim / 2,)."""
        plain = self.base ** (-np.arange(self.dim // 2) * 2.0 / self.dim)
        if self.divisors is not None:
            plain = plain / np.asarray(self.divisors)
        if self.scaling == "none":
            return plain
        if self.scaling == "yarn":
            keep = 1 - self._ramp()
            return plain / self.factor * (1 - keep) + plain * keep
        return plain / self.factor

    def _ramp(self):
        """YaRN (arXiv 2309.00071): 0 keeps a pair's frequency, 1 stretches it."""
        def pair_of(turns):  # the pair that turns so often within the original context
            return self.dim * math.log(self.original_context / (turns * 2 * math.pi)) / (2 * math.log(self.base))

        low = max(0, math.floor(pair_of(self.beta_fast)))
        high = min(self.dim - 1, math.ceil(pair_of(self.beta_slow)))
        return np.clip((np.arange(self.dim // 2) - low) / max(0.001, high - low), 0, 1)

    @property
    def magnitude(self):
        """Factor of rotated values: YaRN sharpens attention by a little."""
        if self.scaling != "yarn" or self.factor <= 1:
            return self.attention_factor
        sharpened = 0.1 * math.log(self.factor) + 1
        if self.log_multiplier:
            sharpened /= 0.1 * self.log_multiplier * math.log(self.factor) + 1
        return self.attention_factor * sharpened


@dataclass
class HParams:
    """Names are the field's; `extra` holds what only some families have, reached as attributes too.

    Heads and the width of the feed-forward network may differ from layer to layer: `layer(i)` has those of layer i,
    the whole has the largest. Layers from `layers` on, `skipped` of them, guess tokens ahead and do not run.
    """

    arch: str
    layers: int
    context: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    attention_scale: float
    eps: float
    rope: Rope | None
    ff: int = 0
    skipped: int = 0
    each: dict = field(default_factory=dict)  # name: its numbers, one a layer, where they differ
    extra: SimpleNamespace = field(default_factory=SimpleNamespace)

    def layer(self, i):
        """The hyperparameters of one layer."""
        return replace(self, **{name: values[i] for name, values in self.each.items()}) if self.each else self

    def __getattr__(self, name):
        if name.startswith("_") or name == "extra":  # copying asks before `extra` is there
            raise AttributeError(name)
        return getattr(self.extra, name)


def read(meta, module, tensors):
    """HParams of a file, with what the model file's own `hparams(meta)` adds; ModelError names the key."""
    own = module.hparams(meta) if hasattr(module, "hparams") else {}
    layers = meta.int(".block_count", lo=1, hi=LAYERS)
    skipped = meta.int(".nextn_predict_layers", 0, lo=0, hi=layers - 1)
    width = meta.int(".embedding_length", lo=1, hi=WIDTH)
    each = per_layer(meta, layers, least=0 if own.pop("recurrent", False) else 1)
    heads, kv_heads, ff = (max(each[name][: layers - skipped]) for name in ("heads", "kv_heads", "ff"))
    head_dim = head_width(meta, ".attention.key_length", width, heads)
    refuse_experts(meta)
    check_vocabulary(meta, tensors)
    return HParams(
        arch=meta.arch,
        layers=layers - skipped,
        context=meta.int(".context_length", lo=1, hi=CONTEXT),
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        value_dim=head_width(meta, ".attention.value_length", width, heads),
        attention_scale=meta.float(".attention.scale", 0.0, lo=0.0) or max(head_dim, 1) ** -0.5,
        eps=epsilon(meta),
        rope=rope(meta, own.pop("rope", None), head_dim, tensors),
        ff=ff,
        skipped=skipped,
        each={name: values for name, values in each.items() if len(set(values)) > 1},
        extra=SimpleNamespace(**own),
    )


def per_layer(meta, layers, least):
    """What may differ from layer to layer. `least` heads: 0 where layers without attention are part of the family."""
    heads = meta.ints(".attention.head_count", layers, lo=least, hi=HEADS)
    if meta.has(".attention.head_count_kv"):
        kv_heads = meta.ints(".attention.head_count_kv", layers, lo=least, hi=HEADS)
    else:
        kv_heads = heads
    for n, kv in zip(heads, kv_heads, strict=True):
        if kv and n % kv:
            raise meta.error(".attention.head_count_kv", f"is {kv}, which does not divide {n} heads")
    return {"heads": heads, "kv_heads": kv_heads, "ff": meta.ints(".feed_forward_length", layers, 0, lo=0, hi=WIDTH)}


def state_space(meta, groups=True):
    """Sizes of a recurrent layer: taps of its convolution, inner width, state of a channel, rank or heads, groups."""
    return {
        "taps": meta.int(".ssm.conv_kernel", lo=1, hi=64),
        "inner": meta.int(".ssm.inner_size", lo=1, hi=WIDTH),
        "state": meta.int(".ssm.state_size", lo=1, hi=STATE),
        "rank": meta.int(".ssm.time_step_rank", lo=1, hi=WIDTH),
        "groups": meta.int(".ssm.group_count", lo=1, hi=HEADS) if groups else 1,
    }


def head_width(meta, key, width, heads):
    """Values of one head: stated, or an equal share of the width; none without heads."""
    if not heads:
        return 0
    if meta.full(key) not in meta and width % heads:
        raise meta.error(".embedding_length", f"is {width}, which {heads} heads do not divide")
    return meta.int(key, width // heads, lo=1, hi=512)


def epsilon(meta):
    for key in (".attention.layer_norm_rms_epsilon", ".attention.layer_norm_epsilon"):
        if meta.full(key) in meta:
            return meta.float(key, above=0.0, below=1.0)
    raise meta.error(".attention.layer_norm_rms_epsilon", "is missing")


def refuse_experts(meta):
    """A mixture of experts read as a dense model would answer nonsense."""
    if meta.int(".expert_count", 0, lo=0):
        raise meta.error(".expert_count", f"is not 0, but mixtures of experts are not supported for {meta.arch} yet")


def check_vocabulary(meta, tensors):
    """One row of the embedding for each token: an id beyond it would read another tensor."""
    meta.int(".vocab_size", 1, lo=1, hi=VOCABULARY)
    tokens, table = meta.get("tokenizer.ggml.tokens"), tensors.get("token_embd.weight")
    if tokens is not None and table is not None and len(tokens) != table.shape[0]:
        raise meta.error(
            "tokenizer.ggml.tokens", f"has {len(tokens)} tokens, but token_embd.weight has {table.shape[0]} rows"
        )


def rope(meta, kind, head_dim, tensors):
    """The Rope that the metadata (and rope_freqs.weight) describe; None for models without."""
    if kind is None:
        return None
    dim = meta.int(".rope.dimension_count", head_dim, lo=2, hi=head_dim)
    if dim % 2:
        raise meta.error(".rope.dimension_count", f"is {dim}, but positions rotate pairs")
    scaling = meta.str(".rope.scaling.type", "linear", choices=("none", "linear", "yarn"))
    factor = meta.float(".rope.scaling.factor", 0.0, lo=0.0) or meta.float(".rope.scale_linear", 0.0, lo=0.0) or 1.0
    return Rope(
        kind=kind,
        dim=dim,
        base=meta.float(".rope.freq_base", 10000.0, above=1.0),
        scaling=scaling,
        factor=factor,
        original_context=meta.int(".rope.scaling.original_context_length", meta.int(".context_length"), lo=1),
        beta_fast=meta.float(".rope.scaling.yarn_beta_fast", 32.0, above=0.0),
        beta_slow=meta.float(".rope.scaling.yarn_beta_slow", 1.0, above=0.0),
        attention_factor=meta.float(".rope.scaling.attn_factor", 1.0, above=0.0),
        log_multiplier=meta.float(".rope.scaling.yarn_log_multiplier", 0.0),
        divisors=divisors(tensors, dim),
    )


def divisors(tensors, dim):
    tensor = tensors.get("rope_freqs.weight")
    if tensor is None:
        return None
    values = tensor.numpy()
    if values.shape != (dim // 2,) or not (np.isfinite(values).all() and (values > 0).all()):
        raise ModelError(
            f"tensor rope_freqs.weight must hold {dim // 2} positive numbers, found shape {values.shape}",
            tensor="rope_freqs.weight",
        )
    return tuple(values.tolist())
