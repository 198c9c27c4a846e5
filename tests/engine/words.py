"""Single words of nn, run by the compiled engine and by their NumPy twins.

    engine, twin = both(build, x, tensors)

`build(graph, weights, x)` is written like a model file's block: it takes the value `x` and returns another. It runs
as the only layer of a model whose input are the rows `x`, so that steps, caches and chunks are those of real use.
"""

from types import SimpleNamespace

import numpy as np

from llama_gguf.engine.quants import dequantize
from llama_gguf.gguf.types import TYPES
from llama_gguf.graph import Graph, Weights
from llama_gguf.reference import Reference
from llama_gguf.session import Session
from llama_gguf.weights import WeightStore


class Rows:
    """A tensor as a file has it, from numbers (F32) or from bytes of a type."""

    def __init__(self, name, data, type="F32", shape=None):
        data = np.ascontiguousarray(data if type != "F32" or data.dtype == np.uint8 else data.astype(np.float32))
        self.name, self.type, self.shape = name, TYPES[type], shape or data.shape
        self.raw = data.view(np.uint8).reshape(int(np.prod(self.shape[:-1], dtype=int)), -1)
        self.row_bytes = self.raw.shape[1]

    def numpy(self):
        return dequantize(self.raw, self.type.id, self.shape[-1], 1).reshape(self.shape)

    def release(self, first=0, rows=None):
        pass


class OneLayer:
    """What Session and Reference need of a model, around a build function."""

    path, n_vocab, kv_type, steering = "one layer", 1, "F32", {}

    def __init__(self, build, width, tensors, *, exact=True, repack=True, n_threads=1, n_ctx=1024, **h):
        self.build, self.width = build, width
        self.tensors = {
            f"{n}.weight" if "." not in n else n: t if isinstance(t, Rows) else Rows(n, t) for n, t in tensors.items()
        }
        for name, tensor in self.tensors.items():
            tensor.name = name
        self.h = SimpleNamespace(**({"layers": 2, "width": width, "eps": 1e-5, "layer_eps": 1e-5} | h))
        self.exact, self.n_threads, self.n_ctx = exact, n_threads, n_ctx
        self.store = WeightStore(repack=repack, exact=exact, n_threads=n_threads)

    def trace_graph(self, layers=None, n_ctx=None, states=False):
        graph = Graph(self.h, n_ctx)
        self.record(graph)
        return graph

    def record(self, graph):
        x = graph.emit("input", width=self.width, name="residual_in")
        out = self.build(graph, Weights(graph, self.tensors), x)
        out = graph.emit("select", out, width=out.width, name="last", wanted=True)
        return graph.emit("copy", out, width=out.width, name="out")

    def session(self, **options):
        """Of a layer that is not the first, so that it takes rows of numbers."""
        return Session(self, layers=range(1, 2), **options)


class Twin(Reference):
    """The NumPy side: evaluates `build` on rows x."""

    def run(self, x):
        self.residual, self.positions = x, np.arange(len(x))
        return self.model.record(self).value


def both(build, x, tensors=None, *, kv_type=None, steps=None, visible=None, edits=None, dtype=np.float32, **model):
    """(engine's output, twin's output), float32 (rows, width).

    `steps`: how many rows each step takes; default one step (or as many as Session makes of it). `visible`: keys of
    a plan that fuses nothing. `dtype` float64 lets the twin calculate in double precision.
    """
    x = np.ascontiguousarray(x, np.float32)
    one = OneLayer(build, x.shape[1], tensors or {}, **model)
    session = one.session(kv_type=kv_type)
    if visible:
        session.planned = session.build(visible=True, keys=visible)
    parts, at = [], 0
    for n in steps or [len(x)]:
        parts.append(session.forward(x[at : at + n], every=True))
        at += n
    twin = Twin(one, edits)
    if dtype is not np.float32:
        twin.number = lambda tensor: tensor.numpy().astype(dtype)
    return np.concatenate(parts), twin.run(x[:at].astype(dtype))


def nmse(found, expected):
    """Squared error over squared size."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    return float(((found - expected) ** 2).sum() / (expected**2).sum())


def close(found, expected, limit):
    error = nmse(found, expected)
    assert error <= limit, f"NMSE {error:.2e}, allowed is {limit:.0e}"
