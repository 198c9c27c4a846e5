"""From the records of a graph to tasks, records as the engine runs them: pairs fused, 8-bit copies added.

Buffers are named by keys: ("x", id) holds a value's floats, ("q", id) its 8-bit copy and ("qq", id) one of two terms,
("cache", layer) and ("parts",) what attention writes.
"""

import numpy as np

from .acts import ACTS
from .attention import SHOWN, Attention, scope_of
from .dense import Dense
from .encoders import Encoders
from .experts import Experts, fused_experts
from .fusion import fused
from .latent import Latent
from .states import States
from .streams import Streams
from .task import Task

PRODUCTS = {"matmul", "gated_matmul", "heads_matmul"}  # whose inputs have as many terms as they ask for
QUANTIZING = {  # can leave an 8-bit copy too
    "rms_norm", "layer_norm", "merge", "gated", "mul", "add", "act", "scale", "swiglu_oai", "heads_part",
    "conv",
}


class Lowering(Attention, Dense, Encoders, Experts, Latent, States, Streams):
    """Records to tasks. `watched`: keys (see trace.names) of values that are to be seen and written to: what would hide
    one is not fused. Attention shows scores and pattern, at most `keys` wide, where one of them is watched.
    `visible`: every value is. `steering`: {layer: vector}, added to what leaves the layer.
    """

    def __init__(self, graph, store, watched=(), keys=0, visible=False, steering=None):
        self.graph, self.quantized, self.keys = graph, store.quantized, -(-keys // 64) * 64
        self.tasks, self.made, self.widths, self.views = [], {}, {}, {}
        self.watched = every_key(graph) if visible else set(watched)
        self.steering = steered(graph, steering or {})
        hidden = self.watched | self.steering.keys()
        records = fused_experts(fused(graph.records, store, hidden), store, hidden)
        self.terms = {}  # of a value's 8-bit copy: as many as its most exacting reader wants
        for r in records:
            if r.kind in PRODUCTS:
                self.terms[r.inputs[0].id] = max(self.terms.get(r.inputs[0].id, 1), r.attrs.get("terms", 1))
        for record in records:
            getattr(self, f"do_{record.kind}", self.do_plain)(record)
            if record.out.id in self.steering:
                self.steer(record)
        for task in self.tasks:
            task.sources = {name: self.views.get(key, key) for name, key in task.sources.items()}

    def add(self, task):
        self.tasks.append(task)
        if task.dst:
            self.made[task.dst] = task
            self.widths[task.dst] = task.width
        return task

    def task(self, r, kind=None, sources="abc", **more):
        """A task for record `r`, which reads its inputs as a, b, c."""
        named = dict(zip(sources, (("x", x.id) for x in r.inputs), strict=False))
        return Task(kind or r.kind, r.name, r.out.width, r.out.wanted, ("x", r.out.id), named, where=r.where, **more)

    def eight_bit(self, act):
        """The key of a value's 8-bit copy: made with the value if its task can, else by a task of its own."""
        terms = self.terms.get(act.id, 1)
        key = ("q" * terms, act.id)
        if key not in self.widths:
            maker = self.made.get(("x", act.id))
            if maker and maker.kind in QUANTIZING and act.id not in self.watched:
                maker.q, maker.terms = key, terms
            else:
                name, source = f"{act.name}:q{8 * terms}", {"a": ("x", act.id)}
                self.add(Task("quantize", name, act.width, act.wanted, sources=source, q=key, terms=terms))
            self.widths[key] = act.width
        return key

    def steer(self, r):
        """The same row is added to all, in place, and to all streams of one."""
        key, row = ("x", r.out.id), np.tile(self.steering[r.out.id], self.graph.h.streams)
        name, b = f"{r.name}:steered", np.pad(np.asarray(row, np.float32), (0, -len(row) % 16))
        self.add(Task("add", name, r.out.width, r.out.wanted, key, {"a": key}, vectors={"b": b}, where=r.where))

    def do_plain(self, r):
        self.add(self.task(r))

    def do_embed(self, r):
        self.add(self.task(r, weight=r.attrs["weight"]))

    def do_scale(self, r):
        self.add(self.task(r, f=(r.attrs["by"],)))

    def do_act(self, r):
        self.add(self.task(r, n=(ACTS[r.attrs["fn"]],), f=r.attrs["f"]))

    do_gated = do_act

    def act(self, fn):
        return ACTS[fn]

    def do_matmul(self, r):
        task = self.task(r, sources=("raw", "c"), weight=r.attrs["weight"])
        if self.quantized(task.weight.tensor):
            task.sources["raw"], task.terms = self.eight_bit(r.inputs[0]), r.attrs["terms"]
        self.add(task)

    def do_gated_matmul(self, r):
        task = Task(r.kind, r.name, r.out.width, r.out.wanted, where=r.where, q=("q", r.out.id))
        task.sources, task.n, task.f = {"raw": self.eight_bit(r.inputs[0])}, (ACTS[r.attrs["fn"]],), r.attrs["f"]
        task.weight, task.other = r.attrs["gate"], r.attrs["up"]
        self.widths[task.q] = task.width
        self.add(task)


def every_key(graph):
    """Keys of all values: the number of what a record makes, the names of what visible attention shows."""
    attention = [f"{scope_of(r)}{name}" for r in graph.records if r.kind == "attend" for name in SHOWN]
    return {r.out.id for r in graph.records} | set(attention)


def steered(graph, vectors):
    """{number of what leaves a layer: vector}"""
    return {graph.names[f"blk.{layer}.resid_post"].id: v for layer, v in vectors.items()}
