"""From the records of a graph to an engine.Plan: fuse pairs, choose kernels, share buffers, place barriers, bind.

A task is a record as the engine runs it. Buffers are named by keys: ("x", id) holds a value's floats, ("q", id) its 8-bit
copy, ("cache", layer) and ("parts",) what attention writes. Rows of a buffer are padded to whole vectors.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from .engine import plan as engine

PAD = 16  # floats: rows start on cache lines, vectors may write to the end of the last one
ACTS = {"silu": 0, "gelu": 1}
QUANTIZING = {"rms_norm", "merge", "gated", "mul", "add", "act", "scale"}  # can leave an 8-bit copy too
ROOM = 32  # query rows of one unit of attention (attention.pxi)


@dataclass
class Task:
    kind: str
    name: str
    width: int
    wanted: bool = False
    dst: tuple = None
    sources: dict = field(default_factory=dict)  # a, b, c, raw: key
    q: tuple = None
    n: tuple = ()
    f: tuple = ()
    weight: object = None  # Weight of a matmul, a norm or a table
    layer: int = None  # whose cache it uses
    writes_cache: bool = False
    frequencies: object = None
    where: str = ""
    barrier: bool = True

    def reads(self):
        keys = list(self.sources.values())
        if self.layer is not None and not self.writes_cache:
            keys.append(("cache", self.layer))
        return keys + [("parts",)] * (self.kind == "merge")

    def writes(self):
        keys = [k for k in (self.dst, self.q) if k]
        if self.writes_cache:
            keys.append(("cache", self.layer))
        return keys + [("parts",)] * (self.kind == "attend")


def floats(width):
    return -(-width // PAD) * PAD


def row_floats(key, width):
    """Room of one row of a buffer, in floats."""
    return floats(width) if key[0] == "x" else floats((width + width // 32 * 16) // 4)


class Lowering:
    """Records to tasks. `visible`: nothing is fused and attention shows scores and pattern (at most `keys` wide)."""

    def __init__(self, graph, quantized, visible=False, keys=0):
        self.graph, self.quantized, self.visible, self.keys = graph, quantized, visible, keys
        self.tasks, self.made, self.widths = [], {}, {}
        records = list(graph.records) if visible else fused(graph.records)
        for record in records:
            getattr(self, f"do_{record.kind}", self.do_plain)(record)

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
        key = ("q", act.id)
        if key not in self.widths:
            maker = self.made[("x", act.id)]
            if maker.kind in QUANTIZING and not self.visible:
                maker.q = key
            else:
                quantize = Task("quantize", f"{act.name}:q8", act.width, act.wanted, sources={"a": ("x", act.id)}, q=key)
                self.add(quantize)
            self.widths[key] = act.width
        return key

    def do_plain(self, r):
        self.add(self.task(r))

    def do_embed(self, r):
        self.add(self.task(r, weight=r.attrs["weight"]))

    def do_rms_norm(self, r):
        self.add(self.task(r, n=(r.attrs["heads"],), f=(self.graph.h.eps,), weight=r.attrs["gain"]))

    def do_scale(self, r):
        self.add(self.task(r, f=(r.attrs["by"],)))

    def do_act(self, r):
        self.add(self.task(r, n=(ACTS[r.attrs["fn"]],)))

    do_gated = do_act

    def do_matmul(self, r):
        x, weight = r.inputs[0], r.attrs["weight"]
        task = self.task(r, sources=("raw", "c"), weight=weight)
        if self.quantized(weight.tensor):
            task.sources["raw"] = self.eight_bit(x)
        self.add(task)

    def do_angles(self, r):
        self.add(self.task(r, f=(r.attrs["magnitude"],), frequencies=r.attrs["frequencies"]))

    def do_rope(self, r):
        heads = r.attrs["heads"]
        self.add(self.task(r, n=(heads, r.out.width // heads, r.attrs["pairs"], int(r.attrs["neox"]))))

    def do_attend(self, r):
        q, k, v = (("x", x.id) for x in r.inputs)
        layer, heads, window, scale = (r.attrs[x] for x in ("layer", "heads", "window", "scale"))
        self.add(Task("store", f"{r.name}:store", 0, sources={"a": k, "b": v}, layer=layer, writes_cache=True))
        if self.visible:
            return self.attend_visibly(r, q, layer, heads, window, scale)
        n = (heads, None, window)  # None: parts at most, known when the cache is
        self.add(self.task(r, "attend", n=n, f=(scale,), layer=layer)).sources = {"a": q}
        self.add(self.task(r, "merge", n=n, layer=layer)).sources = {"a": ("x", r.out.id)}

    def attend_visibly(self, r, q, layer, heads, window, scale):
        scope, width, n = r.name.removesuffix("attn_z"), heads * self.keys, (heads, self.keys, window)
        scores, pattern = (("x", f"{scope}{name}") for name in ("attn_scores", "attn_pattern"))
        self.add(Task("scores", f"{scope}attn_scores", width, dst=scores, sources={"a": q}, n=n, f=(scale,), layer=layer))
        self.add(Task("softmax", f"{scope}attn_pattern", width, dst=pattern, sources={"a": scores}, n=n))
        self.add(self.task(r, "mix", n=n, layer=layer)).sources = {"a": pattern}


def fused(records):
    """act(x) * y as one record, and matrix products that add the residual as they are stored."""
    readers = Counter(x.id for r in records for x in r.inputs)
    makers = {r.out.id: r for r in records}
    gone, result = set(), {}
    for r in records:
        if r.kind == "mul" and (act := single(r.inputs[0], "act", makers, readers)):
            result[id(r)] = joined(r, "gated", (act.inputs[0], r.inputs[1]), act.attrs)
            gone.add(id(act))
        elif r.kind == "add" and (product := single(r.inputs[1], "matmul", makers, readers)):
            result[id(r)] = joined(r, "matmul", (product.inputs[0], r.inputs[0]), product.attrs)
            gone.add(id(product))
    return [result.get(id(r), r) for r in records if id(r) not in gone]


def single(act, kind, makers, readers):
    """The record of `kind` that makes a value nobody else reads."""
    maker = makers.get(act.id)
    return maker if maker and maker.kind == kind and readers[act.id] == 1 else None


def joined(r, kind, inputs, attrs):
    return type(r)(kind, r.name, inputs, r.out, attrs, r.where)


def arrange(tasks, widths):
    """An offset (floats per row) for each buffer and the floats of all: a buffer is free after its last reader."""
    last = {key: i for i, t in enumerate(tasks) for key in (*t.reads(), *t.writes())}
    offsets, free, top = {}, [], 0
    for i, t in enumerate(tasks):
        for key in t.writes():
            if key in widths and key not in offsets:
                size = row_floats(key, widths[key])
                fit = min((f for f in free if f[1] >= size), key=lambda f: f[1], default=None)
                if fit:
                    free.remove(fit)
                else:
                    fit, top = (top, size), top + size
                offsets[key] = fit
        for key in {*t.reads(), *t.writes()}:
            if key in offsets and last[key] == i:
                free.append(offsets[key])
    return {key: slot[0] for key, slot in offsets.items()}, top


def place_barriers(tasks, offsets, widths):
    """A task waits for the team only if it touches what another one wrote, or writes what one read, since the last wait."""

    def span(key):
        if key in offsets:
            return "arena", offsets[key], offsets[key] + row_floats(key, widths[key])
        return key, 0, 1

    def meet(some, others):
        return any(a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for a in some for b in others)

    read, written = [], []
    for t in tasks:
        r, w = [span(k) for k in t.reads()], [span(k) for k in t.writes()]
        t.barrier = meet(r, written) or meet(w, written) or meet(w, read)
        if t.barrier:
            read, written = [], []
        read, written = read + r, written + w


class Planned:
    """An engine.Plan with its tasks and buffers. `tasks[i]` is record i; `print(planned)` shows them."""

    def __init__(self, lowering, store, caches, *, capacity, n_threads):
        self.tasks, self.capacity, self.widths = lowering.tasks, capacity, lowering.widths
        self.store, self.caches, self.n_threads = store, caches, n_threads
        self.end()
        self.offsets, self.row = arrange(self.tasks, self.widths)
        place_barriers(self.tasks, self.offsets, self.widths)
        self.plan = engine.Plan(capacity, n_threads)
        self.arena = aligned(self.row * capacity)
        self.plan.owners += [self.arena, store, caches]
        self.bind()
        self.index = {t.name: i for i, t in enumerate(self.tasks)}

    def end(self):
        """The last task writes into the caller's array, which has no padding: only some kinds can."""
        last = self.tasks[-1]
        if last.kind not in ("matmul", "copy"):
            self.tasks.append(Task("copy", "out", last.width, last.wanted, ("x", "out"), {"a": last.dst}))
            self.widths[("x", "out")] = last.width

    def bind(self):
        self.cache_ids = {layer: self.plan.add_cache(*self.caches.binding(layer)) for layer in self.caches.specs}
        self.matrix_ids, room = {}, 0
        for t in self.tasks:
            if t.kind == "matmul" and t.weight.tensor.name not in self.matrix_ids:
                number, _, scratch = self.plan.add_matrix(*self.store.binding(t.weight.tensor))
                self.matrix_ids[t.weight.tensor.name] = number
                room = max(room, scratch)
        self.room = self.threads_room(room // 4)
        self.query_room = self.threads_room(self.caches.widest_value() * ROOM + ROOM * (2 + engine.PAGE_SIZE))
        self.parts = self.split_room()
        for t in self.tasks:
            self.plan.add(t.kind, t.width, barrier=t.barrier, wanted=t.wanted, f=t.f, **self.fields(t))
        inputs = [i for i, t in enumerate(self.tasks) if t.kind == "input"]
        self.plan.set_ends(inputs[0] if inputs else -1, len(self.tasks) - 1)

    def threads_room(self, size):
        """Scratch for each thread: (address, stride in floats)."""
        array = aligned(floats(size + PAD) * self.n_threads)
        self.plan.owners.append(array)
        return address(array), floats(size + PAD)

    def split_room(self):
        """Where steps of few tokens keep the parts of attention: address, parts of one head at most."""
        tokens, span = engine.SPLIT
        parts = self.caches.n_ctx // span + 2
        heads = max((t.n[0] for t in self.tasks if t.kind == "attend"), default=0)
        array = aligned(tokens * heads * parts * (self.caches.widest_value() + 2))
        self.plan.owners.append(array)
        return address(array), parts

    def buffer(self, key):
        """Address and stride of a buffer; the stride of an 8-bit copy counts bytes."""
        if key is None:
            return 0, 0
        size = row_floats(key, self.widths[key])
        return address(self.arena) + 4 * self.offsets[key] * self.capacity, size * (4 if key[0] == "q" else 1)

    def fields(self, t):
        """The keyword arguments of Plan.add that depend on the kind."""
        found = {name: self.buffer(key) for name, key in t.sources.items()}
        found |= {"dst": self.buffer(t.dst), "q": self.buffer(t.q)}
        found["n"] = tuple(self.parts[1] if x is None else x for x in t.n)
        if t.layer is not None:
            found["cache"] = self.cache_ids[t.layer]
        if t.kind == "attend":
            found |= {"c": self.query_room, "scratch": (self.parts[0], 0)}
        elif t.kind == "merge":
            found |= {"a": (0, 0), "scratch": (self.parts[0], 0)}
        elif t.kind == "angles":
            found["raw"] = (self.keep(np.asarray(t.frequencies, np.float64)), 0)
        elif t.kind == "embed":
            found |= self.store.table(t.weight.tensor)
        elif t.kind == "rms_norm":
            found["gain"] = self.store.vector(t.weight.tensor) if t.weight else 0
        elif t.kind == "matmul":
            found |= self.product(t, found["raw"])
        return found

    def product(self, t, raw):
        strided = raw if t.sources["raw"][0] == "q" else (raw[0], raw[1] * 4)
        bias = self.store.vector(t.weight.bias) if t.weight.bias is not None else 0
        return {"raw": strided, "matrix": self.matrix_ids[t.weight.tensor.name], "bias": bias, "scratch": self.room}

    def keep(self, array):
        self.plan.owners.append(array)
        return address(array)

    def view(self, i, rows):
        """What task `i` made: float32 (rows, width), the engine's own memory."""
        t = self.tasks[i]
        start = self.offsets[t.dst] * self.capacity
        stride = row_floats(t.dst, t.width)
        return self.arena[start : start + rows * stride].reshape(rows, stride)[:, : t.width]

    def __str__(self):
        lines = [f"{'#':>4}  {'name':28} {'kind':9} {'width':>6}  wait  line"]
        for i, t in enumerate(self.tasks):
            lines.append(f"{i:4}  {t.name:28} {t.kind:9} {t.width:6}  {'yes' if t.barrier else '':4}  {t.where}")
        return "\n".join(lines)


def aligned(n):
    """n floats that start on a cache line; their pages are not touched before they are used."""
    room = np.empty(max(n, 1) + PAD, np.float32)
    skip = -(address(room) // 4) % PAD
    return room[skip : skip + max(n, 1)]


def address(array):
    return array.__array_interface__["data"][0]
