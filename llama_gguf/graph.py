"""What records while a model file runs: symbolic values, weights by their GGUF names, one record per operation.

A model file runs once, when a file is opened. Nothing here runs per token.
"""

import sys
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from .errors import ModelError
from .gguf.rows import TensorRows

STILL_RESIDUAL = ("scale", "rms_norm", "layer_norm")
_OWN = str(Path(__file__)), str(Path(__file__).with_name("nn"))


@dataclass(slots=True, eq=False)
class Act:
    """A value of the forward pass: `width` floats for each token (or each wanted row of logits)."""

    graph: object = field(repr=False)
    id: int
    width: int
    wanted: bool = False
    name: str = ""
    value: object = None  # the numbers, when a reference evaluates at once
    tensor: str = ""  # of the file, whose shape gave the width: for error messages

    def __add__(self, other):
        self._match(other)
        return self.graph.emit("add", self, other, width=self.width)

    def __mul__(self, other):
        if isinstance(other, Act):
            self._match(other)
            return self.graph.emit("mul", self, other, width=self.width)
        return self.graph.emit("scale", self, width=self.width, by=float(other))

    def _match(self, other):
        if self.width != other.width:
            named = other.tensor or self.tensor
            raise wrong(named, f"gives {other.width} values where {self.name} has {self.width}")

    def need_heads(self, heads, dim):
        """Check that this value is `heads` heads of `dim` values."""
        if self.width != heads * dim:
            raise wrong(self.tensor, f"gives {self.width} values, but {heads} heads of {dim} are {heads * dim}")


@dataclass(slots=True, eq=False)
class Weight:
    """A tensor of the file, (rows, cols) if it multiplies; `bias` is its tensor or None."""

    graph: object = field(repr=False)
    name: str  # without ".weight": the name of the value it makes
    tensor: object
    bias: object = None

    def __matmul__(self, x):
        return self.times(x, self.name)

    def precise(self, x, name=None):
        """The product on activations of 16 bits instead of 8, where they are quantized at all."""
        return self.times(x, name or self.name, terms=2)

    def times(self, x, name, terms=1):
        """The product under a name of its own; `terms` of 8 bits make the activations."""
        rows, cols = self.matrix("matmul")
        if cols != x.width:
            raise wrong(self.tensor.name, f"takes {cols} values, but its input {x.name} has {x.width}")
        if self.bias is not None:
            need(self.bias, "bias", (rows,))
        return self.graph.emit("matmul", x, width=rows, name=name, weight=self, terms=terms)

    def matrix(self, role):
        """(rows, cols), or ModelError."""
        if len(self.tensor.shape) != 2:
            raise wrong(self.tensor.name, f"has shape {self.tensor.shape}, but a matrix is expected")
        need(self.tensor, role, self.tensor.shape)
        return self.tensor.shape

    @property
    def rows(self):
        return self.matrix("matmul")[0]

    @property
    def cols(self):
        return self.matrix("matmul")[1]

    def table(self, width):
        """How many rows of `width` values this table has, or ModelError."""
        rows = self.matrix("embedding")[0]
        need(self.tensor, "embedding", (rows, width))
        if self.bias is not None:
            raise wrong(self.bias.name, "is not part of an embedding; the file is some other structure")
        return rows

    def norm(self, shape):
        """Check that this is the gain of a norm, of this shape, with or without a bias for each head."""
        need(self.tensor, "norm", shape)
        if self.bias is not None:
            need(self.bias, "bias", shape[-1:])

    def vector(self, size):
        """Check that this is a vector of `size` values and has no bias."""
        need(self.tensor, "norm", (size,))
        if self.bias is not None:
            raise wrong(self.bias.name, "is not part of this kind of norm; the file is some other structure")


def need(tensor, role, shape):
    """ModelError unless a tensor has this shape and a type that can serve in this role."""
    if tuple(tensor.shape) != tuple(shape):
        raise wrong(tensor.name, f"has shape {tensor.shape}, but {shape} is expected")
    if role not in tensor.type.roles:
        raise wrong(tensor.name, f"is {tensor.type.name}, a type that cannot serve as {role}")


def wrong(tensor, message):
    """A ModelError about a tensor, to raise."""
    return ModelError(f"tensor {tensor} {message}", tensor=tensor)


class Weights:
    """The tensors under one prefix: `w.attn_q` is `blk.7.attn_q.weight` with its bias, if there is one."""

    def __init__(self, graph, tensors, prefix="", used=None):
        self._graph, self._tensors, self._prefix = graph, tensors, prefix
        self._used = set() if used is None else used

    def __contains__(self, key):
        return f"{self._prefix}{key}.weight" in self._tensors

    def __getattr__(self, key):
        name = self._prefix + key
        tensor = self._take(f"{name}.weight")
        if tensor is None:
            raise ModelError(f"tensor {name}.weight is missing", tensor=f"{name}.weight")
        return Weight(self._graph, name, tensor, self._take(f"{name}.bias"))

    def __getitem__(self, name):
        """`w["ssm_dt"]` is w.ssm_dt or, where the file has no such weight, what it has by that very name."""
        return (name not in self and self.bare(name)) or self.__getattr__(name)

    def bare(self, key):
        """A tensor that goes with no matrix, by its whole name under the prefix ("exp_probs_b.bias"), or None."""
        return (tensor := self._take(self._prefix + key)) and Weight(self._graph, self._prefix + key, tensor)

    def ignore(self, **shapes):
        """Tensors of these shapes that belong to the structure, if the file has them, but are not used."""
        for key, shape in shapes.items():
            tensor = self._take(f"{self._prefix}{key}.weight")
            if tensor is not None and tuple(tensor.shape) != shape:
                raise wrong(tensor.name, f"has shape {tensor.shape}, but {shape} is expected")

    def parts(self, key, **sizes):
        """A fused matrix taken apart: Weights of so many rows under the names given. A part that the fused bias does
        not give one has its own, if there is such.
        """
        whole, at = getattr(self, key), 0
        if whole.rows != sum(sizes.values()):
            wanted = " + ".join(f"{n} ({name})" for name, n in sizes.items())
            raise wrong(whole.tensor.name, f"has {whole.rows} rows, but {wanted} are expected")
        if whole.bias is not None:
            need(whole.bias, "bias", (whole.rows,))
        for name, n in sizes.items():
            rows = TensorRows(whole.tensor, at, at + n)
            bias = self._take(f"{self._prefix}{name}.bias") if name != key else None
            bias = bias if whole.bias is None else TensorRows(whole.bias, at, at + n)
            yield Weight(self._graph, self._prefix + name, rows, bias)
            at += n

    def _take(self, name):
        tensor = self._tensors.get(name)
        if tensor is not None:
            self._used.add(name)
        return tensor

    def layer(self, index):
        return Weights(self._graph, self._tensors, f"blk.{index}.", self._used)

    def beside(self, graph):
        """The same tensors for the records of another graph."""
        return Weights(graph, self._tensors, self._prefix, self._used)

    @property
    def names(self):
        """Of all tensors, whatever the prefix."""
        return self._tensors.keys()

    def unused(self):
        return [name for name in self._tensors if name not in self._used]


@dataclass(slots=True, eq=False)
class Record:
    """One operation: what it is, what it reads, what it makes, and the model file's line that asked for it."""

    kind: str
    name: str
    inputs: tuple
    out: Act
    attrs: dict
    where: str


@dataclass(frozen=True)
class CacheSpec:
    """What one layer keeps of each position."""

    heads: int
    k_dim: int
    v_dim: int
    window: int = 0  # 0: every position
    shared: bool = False  # values are the first v_dim of the keys


@dataclass(frozen=True)
class StateSpec:
    """What one layer keeps of a whole sequence: numbers (float32) that each token changes, zero before the first."""

    size: int


@dataclass
class Graph:
    """The records of a forward pass, the names of its values, and the caches and states its layers ask for."""

    h: object
    n_ctx: int | None = None  # positions that a session has room for: some frequencies depend on it
    most: int | None = None  # positions that there are, if they are learned
    causal: bool = True  # no query sees a later position
    records: list = field(default_factory=list)
    names: dict = field(default_factory=dict)
    caches: dict = field(default_factory=dict)
    states: dict = field(default_factory=dict)
    shared: dict = field(default_factory=dict)  # values made once and read by many layers
    per_layer: Act | None = None  # what each layer adds of each token's own, side by side (nn/streams.py)
    stream: set = field(default_factory=set)  # ids of the residual stream in this block
    scope: str = ""
    count: int = 0
    ranks: bool = False  # is there a head that makes scores of a text's vector?
    projects: bool = False  # and one that makes another vector of it?

    def emit(self, kind, *inputs, width, name=None, wanted=None, **attrs):
        """Append a record and return its value. `name` None: a name made of scope and kind."""
        if wanted is None:
            wanted = any(x.wanted for x in inputs)
        out = Act(self, self.count, width, wanted, self.unique(name or f"{self.scope}{kind}"))
        source = attrs.get("weight")
        out.tensor = source.tensor.name if source else inputs[0].tensor if inputs else ""
        self.count += 1
        self.names[out.name] = out
        branch = kind == "add" and inputs[0].id in self.stream
        name = "ffn_out" if f"{self.scope}ffn_act" in self.names else "attn_out"
        if branch:  # what is added to the stream
            self.alias(f"{self.scope}{name}", inputs[1])
        self.finish(Record(kind, out.name, inputs, out, attrs, caller()))
        if branch:
            if name == "attn_out":
                self.alias(f"{self.scope}resid_mid", out)
            self.stream.add(out.id)
        elif kind in STILL_RESIDUAL and inputs[0].id in self.stream and (kind == "scale" or len(self.stream) > 1):
            self.stream.add(out.id)  # where norms come after the sums, the next branch is added to what they make
        return out

    def finish(self, record):
        self.records.append(record)

    def unique(self, name):
        """Names made by weights must differ; made-up ones get a number."""
        if name not in self.names:
            return name
        return next(other for i in count(1) if (other := f"{name}.{i}") not in self.names)

    def alias(self, name, act):
        """A second, standard name of a value: resid_pre, attn_out, ... The first value of a name keeps it."""
        self.names.setdefault(name, act)

    def end(self, name):
        """Leave out what comes after a value, and give it."""
        x = self.names[name]
        made = next((i for i, r in enumerate(self.records) if r.out is x), len(self.records))
        del self.records[made + 1 :]
        return self.emit("copy", x, width=x.width, name="embedding")

    def cache(self, layer, spec):
        self.caches[layer] = spec

    def state(self, key, spec):
        self.states[key] = spec


def caller():
    """File and line of the nearest frame outside this module and nn."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
