"""Hyperparameters: what the metadata says about the shape of a model, checked before any tensor is touched."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

from . import unread
from .errors import ModelError
from .gguf.values import LazyArray
from .rope import Rope
from .rope import read as read_rope
from .routing import Routing
from .routing import read as read_routing

LAYERS, HEADS, WIDTH, VOCABULARY, CONTEXT = 1024, 4096, 1 << 20, 1 << 24, 1 << 28
STATE = 1 << 16
"""More than any model has."""
HEAD_WIDTH = 1024
"""MAX_HEAD of engine/abi.pxd: what kernels have room for."""


@dataclass
class HParams:
    """Names are the field's; `extra` holds what only some families have, reached as attributes too.

    Heads and the width of the feed-forward network may differ from layer to layer: `layer(i)` has those of layer i,
    the whole has the largest.
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
    eps: float  # of RMS norms
    layer_eps: float  # of layer norms
    rope: Rope | None
    ff: int = 0
    routing: Routing | None = None  # of a mixture of experts
    streams: int = 1  # of `width`, that the residual is made of
    per_layer: int = 0  # numbers of each token that are each layer's own
    skipped: int = 0  # blocks behind the layers that only predict several tokens at once
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
    """HParams of a file, with what the model file's own `hparams(meta)` adds; ModelError names the key, also one that
    neither reads and that could mean something (see unread.py).
    """
    meta = meta.anew()
    own = module.hparams(meta) if hasattr(module, "hparams") else {}
    blocks = meta.int(".block_count", lo=1, hi=LAYERS)
    skipped = meta.int(".nextn_predict_layers", 0, lo=0, hi=blocks - 1)
    width = meta.int(".embedding_length", lo=1, hi=WIDTH)
    each = per_layer(meta, blocks, least=0 if own.pop("recurrent", False) else 1)
    heads, kv_heads, ff = (max(each[name][: blocks - skipped]) for name in ("heads", "kv_heads", "ff"))
    head_dim = head_width(meta, ".attention.key_length", width, heads)
    value_dim = head_width(meta, ".attention.value_length", width, heads)
    rope = read_rope(meta, own.pop("rope", None), head_dim, tensors)
    if (factors := own.pop("factors", None)) and factors not in tensors:
        raise ModelError(f"tensor {factors} is missing", tensor=factors)
    if "head_dims" in own:  # keys' and values', of each layer
        each["head_dim"] = each["value_dim"] = own.pop("head_dims")
        head_dim = value_dim = max(each["head_dim"])
    check_vocabulary(meta, tensors)
    h = HParams(
        arch=meta.arch,
        layers=blocks - skipped,
        context=meta.int(".context_length", lo=1, hi=CONTEXT),
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        value_dim=value_dim,
        attention_scale=meta.float(".attention.scale", 0.0, lo=0.0) or max(head_dim, 1) ** -0.5,
        eps=epsilon(meta, ".attention.layer_norm_rms_epsilon", ".attention.layer_norm_epsilon"),
        layer_eps=epsilon(meta, ".attention.layer_norm_epsilon", ".attention.layer_norm_rms_epsilon"),
        rope=rope,
        ff=ff,
        streams=own.pop("streams", 1),
        per_layer=own.pop("per_layer", 0),
        skipped=skipped,
        each={name: values for name, values in each.items() if len(set(values)) > 1},
        routing=read_routing(meta, own.pop("experts", None)),
        extra=SimpleNamespace(**own),
    )
    unread.check(meta, module, h)
    return h


def per_layer(meta, layers, least):
    """What may differ from layer to layer. `least` heads: 0 where layers without attention are part of the family."""
    heads = meta.ints(".attention.head_count", layers, lo=least, hi=HEADS)
    if meta.has(".attention.head_count_kv"):
        kv_heads = meta.ints(".attention.head_count_kv", layers, lo=least, hi=HEADS)
    else:
        kv_heads = heads
    for n, kv in zip(heads, kv_heads, strict=True):
        if kv and (n == 0 or n % kv):
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
    return meta.int(key, width // heads, lo=1, hi=HEAD_WIDTH)


def epsilon(meta, *keys):
    """The first that is there: files name the epsilon of the norm that they use, or give 0 for the other."""
    found = [key for key in keys if meta.has(key)]
    if not found:
        raise meta.error(keys[0], "is missing")
    return meta.float(next((key for key in found if meta.float(key, lo=0.0)), found[0]), above=0.0, below=1.0)


def windows(meta, every, default=0, first=False):
    """How far each layer sees, 0 where it sees all: by `attention.sliding_window` and its pattern.

    The pattern is an array that tells which layers are local, or a number n: of n layers the last one sees all; of 0,
    none does. `every` is n where the file has no pattern, `default` the window where it has none. first: of n
    layers the first one sees all.
    """
    layers, window = meta.int(".block_count", lo=1, hi=LAYERS), meta.int(".attention.sliding_window", default, lo=0)
    key = ".attention.sliding_window_pattern"
    if meta.has(key) and meta.kind(meta.full(key)) == "array":
        local = flags(meta, key, layers, "local")
    else:
        every = meta.int(key, every, lo=0, hi=LAYERS)
        local = [not every or layer % every != (0 if first else every - 1) for layer in range(layers)]
    return tuple(window if here else 0 for here in local)


def flags(meta, key, layers, what):
    """An array of bools, or of 0 and 1, that tells which layers are something."""
    found = meta[meta.full(key)]
    found = list(found) if isinstance(found, LazyArray) else []
    if len(found) != layers or not all(x in (0, 1) for x in found):
        raise meta.error(key, f"must say for each of {layers} layers whether it is {what}")
    return [x != 0 for x in found]


def local_layers(meta):
    """The window of each layer, 0 where it sees all; the file must state both window and pattern."""
    meta.int(".attention.sliding_window", lo=1)
    meta.array(".attention.sliding_window_pattern", "bool")
    return windows(meta, 1)


def key_sources(meta, windows, *default):
    """Whose keys and values each layer reads: the last `attention.shared_kv_layers` layers those of the last layer
    before them that sees as far.
    """
    key, layers = ".attention.shared_kv_layers", len(windows)
    first = layers - meta.int(key, *default, lo=0, hi=layers - 1)
    last = {window: layer for layer, window in enumerate(windows[:first])}
    if missing := set(windows) - last.keys():
        kind = "local" if missing.pop() else "global"
        raise meta.error(key, f"leaves no {kind} layer of {layers} whose keys others could read")
    return tuple(layer if layer < first else last[window] for layer, window in enumerate(windows))


def check_vocabulary(meta, tensors):
    """One row of the embedding for each token: an id beyond it would read another tensor."""
    meta.int(".vocab_size", 1, lo=1, hi=VOCABULARY)
    tokens, table = meta.get("tokenizer.ggml.tokens"), tensors.get("token_embd.weight")
    if tokens is not None and table is not None and len(tokens) != table.shape[0]:
        raise meta.error(
            "tokenizer.ggml.tokens", f"has {len(tokens)} tokens, but token_embd.weight has {table.shape[0]} rows"
        )
