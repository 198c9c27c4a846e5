"""What a model will take of this machine's memory, and how fast it can be, by its header alone.

    with remote.look("user/repo:Q4_K_M") as file:
        print(estimate(file, n_ctx=8192))

Every number is that of the arrays which loading and running will make: the same functions lay them out. A context
counts as full, a file's mapped pages as read. docs/planning.md has the figures beside measured ones.
"""

import math
from contextlib import suppress

from . import memory
from .cache import CacheShape, checked
from .engine import default_threads
from .errors import ModelError, OutOfMemory
from .estimate import Estimate
from .forward import graph_of, skipped_blocks
from .gguf import LazyArray
from .lowering import Lowering
from .planner import PRODUCTS, arrange, experts_floats, query_floats, row_floats, split_floats, thread_floats
from .session import BATCH
from .weights import PRODUCTS as MATRICES
from .weights import WeightStore

TOKEN, MERGE = 90, 125
"""Bytes of a tokenizer's tables for each token and each merge of the vocabulary (measured)."""
AROUND = 64 << 10
"""Bytes of a file that come into memory with a row that is looked up (Linux: fault_around_bytes)."""
AMPLE = 1 << 30
"""Bytes besides, with which a model fits for certain."""
VARIETY = 0.85
"""Of n tokens of a text about n ** VARIETY are different (measured on prose and code, 128 to 32768 tokens)."""


def estimate(file, *, n_ctx=None, kv_type=None, batch=BATCH, n_seq=1, repack="auto", exact=False, n_threads=None):
    """An Estimate for an open GGUFFile, local or remote; the options are those of Model and of its sessions.

    n_ctx None: what Model would choose. ModelError if the file is no model that runs.
    """
    graph = graph_of(file.metadata, file.tensors)
    packed = memory.fits(file.size) if repack == "auto" else repack
    store = WeightStore(repack=packed, exact=exact, n_threads=n_threads or default_threads())
    kv_type = checked(kv_type or ("F32" if exact else "F16"))
    if n_ctx is None:
        n_ctx = min(memory.context(graph.h, graph.caches, kv_type, graph.states), graph.most or graph.h.context)
        with suppress(OutOfMemory):
            n_ctx = fitting(file, graph, store, n_ctx, kv_type, asked=False)
    if graph.most and n_ctx > graph.most:
        message = f"n_ctx={n_ctx} is too many: this model has learned {graph.most} positions"
        raise ModelError(message, path=str(file.path))
    return of(file, graph, store, n_ctx=n_ctx, kv_type=kv_type, batch=batch, n_seq=n_seq)


def of(file, graph, store, *, n_ctx, kv_type, batch=BATCH, n_seq=1):
    """The same for a graph and a WeightStore that are there already; nothing needs to be packed."""
    sized = _Sized(file, graph, store, kv_type, batch, n_seq)
    available = memory.available()
    return Estimate(
        name=str(file.path),
        arch=graph.h.arch,
        n_ctx=n_ctx,
        n_seq=n_seq,
        kv_type=kv_type,
        batch=sized.step(n_ctx),
        packed=store.repack and not store.exact,
        available=available,
        largest_context=sized.largest_context(available),
        model_context=min(graph.h.context, graph.most or graph.h.context),
        **sized.fixed,
        **sized.growing(n_ctx),
        layers=sized.layers(n_ctx),
    )


def fitting(file, graph, store, n_ctx, kv_type, asked=True):
    """The context to open a model with: `n_ctx`, or less where nobody asked for so much and only less fits.

    OutOfMemory if it cannot fit. Only where memory is short all of it is counted.
    """
    shape = CacheShape(graph.caches, n_ctx, kv_type=kv_type, batch=BATCH)
    cache = sum(sum(shape.sizes(spec)) for spec in shape.specs.values())
    if 2 * file.size + cache + AMPLE <= memory.available():
        return n_ctx
    found = of(file, graph, store, n_ctx=n_ctx, kv_type=kv_type)
    if asked or found.largest_context < min(n_ctx, memory.LEAST):
        found.check()
    return min(n_ctx, found.largest_context)


def bandwidth(n_threads=None, n_bytes=256 << 20):
    """Bytes per second that this machine reads from memory: the better of two sweeps over more than its caches hold."""
    import numpy as np

    from .engine import cpu, probe

    n_threads = n_threads or default_threads()
    data = np.ones(min(n_bytes, max(1 << 20, memory.available() // 8)), np.uint8)
    isas = [isa for isa in probe.ISAS if not cpu.missing(isa)]
    return data.nbytes / min(probe.read_seconds(data, n_threads, isa) for isa in isas for _ in range(2))


class _Sized:
    """Sizes of one model: what is fixed, and what grows with the context."""

    def __init__(self, file, graph, store, kv_type, batch, n_seq):
        self.graph, self.store, self.kv_type, self.batch, self.n_seq = graph, store, kv_type, batch, n_seq
        self.lowering = Lowering(graph, store)
        self.offsets, _ = arrange(self.lowering.tasks, self.lowering.widths)
        self.tables = []
        self.fixed = self._weights(file) | {"vocabulary": self._vocabulary(file)}

    def _weights(self, file):
        """Panels, vectors as float32, and what stays in the file; and bytes that a token's pass reads."""
        products = [r.attrs["weight"].tensor for r in self.graph.records if r.kind in MATRICES]
        products = {t.name: t for t in products}
        packed = [t for t in products.values() if self.store.packed(t)]
        mapped = [t for t in products.values() if not self.store.packed(t)]
        tables = {r.attrs["weight"].tensor.name: r.attrs["weight"].tensor
                  for r in self.graph.records if r.kind in ("embed", "position")}
        self.tables = [_bytes(t) for name, t in tables.items() if name not in {m.name for m in mapped}]
        self.matrices = sum(map(_bytes, mapped))
        matrices = {t.name.partition("[")[0] for t in products.values()} | tables.keys()
        skipped = skipped_blocks(self.graph.h)
        vectors = [t for name, t in file.tensors.items() if name not in matrices and not name.startswith(skipped)]
        return {
            "weights": sum(map(self.store.panels_bytes, packed)) + sum(4 * math.prod(t.shape) for t in vectors),
            "read": int(sum(self._read(t) for t in products.values())),
        }

    def _read(self, tensor):
        """Bytes of a matrix that one token meets: of experts, those that it is sent to."""
        n_bytes = self.store.panels_bytes(tensor) if self.store.packed(tensor) else _bytes(tensor)
        routing = self.graph.h.routing
        return n_bytes * routing.used / routing.count if routing and len(tensor.shape) == 3 else n_bytes

    def _vocabulary(self, file):
        """The texts in the file, and what is made of them."""
        found = (file.metadata.get(f"tokenizer.ggml.{key}") for key in ("tokens", "merges"))
        tokens, merges = (len(x) if isinstance(x, LazyArray) else 0 for x in found)
        return min(t.offset for t in file.tensors.values()) + TOKEN * tokens + MERGE * merges

    def step(self, n_ctx):
        """Tokens of a step at most, as Session has them."""
        batch = self.batch if self.graph.causal else max(self.batch, n_ctx)
        return min(batch, max(16, n_ctx))

    def shape(self, n_ctx):
        batch = self.batch if self.graph.causal else max(self.batch, n_ctx)
        return CacheShape(self.graph.caches, n_ctx, self.n_seq, self.kv_type, batch, self.graph.states)

    def growing(self, n_ctx):
        shape = self.shape(n_ctx)
        touched = n_ctx**VARIETY * AROUND
        return {
            "mapped": self.matrices + sum(int(n * -math.expm1(-touched / n)) for n in self.tables),
            "cache": sum(sum(shape.sizes(spec)) for spec in shape.specs.values()),
            "states": sum(map(shape.state_bytes, shape.states.values())),
            "kept": shape.kept_bytes(),
            "activations": self._activations(shape, self.step(n_ctx)),
        }

    def _activations(self, shape, capacity):
        """As Planned makes them: the arena, and rooms of threads for panels, queries and parts of attention."""
        tasks, store = self.lowering.tasks, self.store
        rooms = [
            store.scratch(w.tensor) // 4 + experts_floats(t, w.tensor, store.quantized(w.tensor), capacity)[1]
            for t in tasks if t.kind in PRODUCTS for w in (t.weight, t.other) if w
        ]
        threads = thread_floats(max(rooms, default=0)) + thread_floats(query_floats(shape))
        return 4 * (self._arena(capacity) + store.n_threads * threads + split_floats(shape, tasks)[0])

    def _arena(self, capacity):
        """Floats of the buffers that a step of so many tokens, of which the last makes logits, writes to."""
        wanted = {key for t in self.lowering.tasks if t.wanted for key in t.writes()}
        top = floats = 0
        for key, at in sorted(self.offsets.items(), key=lambda item: item[1]):
            size = row_floats(key, self.lowering.widths[key])
            begin, end = at * capacity, at * capacity + size * (1 if key in wanted else capacity)
            floats, top = floats + max(0, end - max(begin, top)), max(top, end)
        return floats

    def layers(self, n_ctx):
        """A row for each layer's cache and each state, with the share of the context that fills it."""
        shape = self.shape(n_ctx)
        rows = [
            {
                "layer": layer,
                "kind": "latent" if spec.shared else f"window of {spec.window}" if spec.window else "full",
                "heads": spec.heads,
                "key_dim": spec.k_dim,
                "value_dim": 0 if spec.shared else spec.v_dim,
                "bytes": sum(shape.sizes(spec)),
                "share": n_ctx / shape.positions(spec.window),  # of the context, that fills it
            }
            for layer, spec in shape.specs.items()
        ]
        states = [{"layer": key, "kind": "state", "bytes": shape.state_bytes(spec), "share": n_ctx}
                  for key, spec in shape.states.items()]
        return rows + states

    def largest_context(self, available):
        """Positions of each sequence, at most the model's own, with which all fits; 0 if none does."""
        fixed = self.fixed["weights"] + self.fixed["vocabulary"]

        def fits(n_ctx):
            return fixed + sum(self.growing(n_ctx).values()) <= available

        most = min(self.graph.h.context, self.graph.most or self.graph.h.context)
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        return low


def _bytes(tensor):
    return math.prod(tensor.shape[:-1]) * tensor.row_bytes
