"""From tasks to an engine.Plan: share buffers, place barriers, bind addresses.

Rows of a buffer are padded to whole vectors.
"""

import numpy as np

from .engine import plan as engine
from .lowering.task import Laid, Task
from .weights import address

PAD = 16  # floats: rows start on cache lines, vectors may write to the end of the last one
EXPERTS = ("experts", "experts_gated", "experts_sum")
PRODUCTS = ("matmul", "gated_matmul", "heads_matmul", *EXPERTS)
REST = 4  # tasks that a buffer rests after its last reader


def floats(width):
    """Room of a row: an odd number of cache lines, or one column of many rows would share a few ways of a cache."""
    return (-(-width // PAD) | 1) * PAD


def row_floats(key, width):
    """Room of one row of a buffer, in floats; a term of an 8-bit copy: codes, a Scale for each 32, codes again."""
    return floats(width) if key[0] == "x" else floats(len(key[0]) * 3 * width // 4)


def arrange(tasks, widths):
    """An offset (floats per row) for each buffer and the floats of all: a buffer is free after its last reader."""
    last = {key: i for i, t in enumerate(tasks) for key in (*t.reads(), *t.writes())}
    offsets, free, resting, top = {}, [], [], 0
    for i, t in enumerate(tasks):
        free += [slot for at, slot in resting if at + REST <= i]  # reused at once, a buffer would cost a barrier
        resting = [(at, slot) for at, slot in resting if at + REST > i]
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
                resting.append((i, offsets[key]))
    return {key: slot[0] for key, slot in offsets.items()}, top


def place_barriers(tasks, offsets, widths):
    """A task waits for the team only if it touches what another wrote, or writes what one read, since the last wait."""

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
        self.arena = aligned(self.row * capacity + PAD)  # whole vectors of a view may reach beyond the last row
        self.plan.owners += [self.arena, store, caches]
        self.bind()

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
            for weight in (t.weight, t.other) if t.kind in PRODUCTS else ():
                if weight and weight.tensor.name not in self.matrix_ids:
                    number, scratch = self.plan.add_matrix(*self.store.binding(weight.tensor))
                    self.matrix_ids[weight.tensor.name] = number
                    room = max(room, scratch + self.experts_room(t, weight.tensor)[1] * 4)
        self.room = self.threads_room(room // 4)
        self.query_room = self.threads_room(query_floats(self.caches))
        self.parts = self.split_room()
        for t in self.tasks:
            self.plan.add(t.kind, t.width, barrier=t.barrier, wanted=t.wanted, terms=t.terms, f=t.f, **self.fields(t))
        inputs = [i for i, t in enumerate(self.tasks) if t.kind == "input"]
        self.plan.set_ends(inputs[0] if inputs else -1, len(self.tasks) - 1)

    def threads_room(self, size):
        """Scratch for each thread: (address, stride in floats)."""
        array = aligned(thread_floats(size) * self.n_threads)
        self.plan.owners.append(array)
        return address(array), thread_floats(size)

    def split_room(self):
        """Where steps of few tokens keep the parts of attention: address, parts of one head at most."""
        size, parts = split_floats(self.caches, self.tasks)
        array = aligned(size)
        self.plan.owners.append(array)
        return address(array), parts

    def buffer(self, key):
        """Address and stride of a buffer, or of a view into one; the stride of an 8-bit copy counts bytes."""
        if key is None:
            return 0, 0
        key, start = key[:2], key[2] if len(key) > 2 else 0
        size = row_floats(key, self.widths[key])
        at = self.offsets[key] * self.capacity + start
        return address(self.arena) + 4 * at, size * (1 if key[0] == "x" else 4)

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
        elif t.kind in ("embed", "position"):
            found |= self.store.table(t.weight.tensor)
        elif t.state:
            found["scratch"] = self.caches.state(t.state)
        elif t.kind in ("rms_norm", "layer_norm") and t.weight:
            found["gain"] = self.store.vector(t.weight.tensor)
            found["bias"] = self.store.vector(t.weight.bias) if t.weight.bias is not None else 0
        elif t.kind in PRODUCTS:
            found |= self.product(t, found["raw"])
            found["n"] += self.experts_room(t, t.weight.tensor)
        vectors = {name: self.vector(v) for name, v in t.vectors.items()}
        if "b" in vectors:
            vectors["b"] = vectors["b"], 0  # the same row for all
        return found | vectors

    def vector(self, numbers):
        """Address of a vector: a weight's, a tensor's in a layout of its own, or numbers that the graph made."""
        if isinstance(numbers, Laid):
            return self.store.vector(*numbers)
        if hasattr(numbers, "tensor"):
            return self.store.vector(numbers.tensor)
        return self.keep(np.asarray(numbers, np.float32))

    def product(self, t, raw):
        strided = raw if t.sources["raw"][0] != "x" else (raw[0], raw[1] * 4)
        bias = self.store.vector(t.weight.bias) if t.weight.bias is not None else 0
        number = self.matrix_ids
        found = {"raw": strided, "matrix": number[t.weight.tensor.name], "bias": bias, "scratch": self.room}
        if t.other:
            found["other"] = number[t.other.tensor.name]
            found["gain"] = self.store.vector(t.other.bias) if t.other.bias is not None else 0
        return found

    def experts_room(self, t, tensor):
        return experts_floats(t, tensor, self.store.quantized(tensor), self.capacity)

    def keep(self, array):
        self.plan.owners.append(array)
        return address(array)

    def view(self, i, rows):
        """What task `i` made: float32 (rows, width), the engine's own memory."""
        t = self.tasks[i]
        start = self.offsets[t.dst] * self.capacity
        stride = row_floats(t.dst, t.width)
        return self.arena[start : start + rows * stride].reshape(rows, stride)[:, : t.width]

    def __repr__(self):
        lines = [f"{'#':>4}  {'name':28} {'kind':9} {'width':>6}  wait  line"]
        for i, t in enumerate(self.tasks):
            lines.append(f"{i:4}  {t.name:28} {t.kind:9} {t.width:6}  {'yes' if t.barrier else '':4}  {t.where}")
        return "\n".join(lines)


def thread_floats(size):
    """From one thread's scratch of so many floats to the next's."""
    return floats(size + PAD)


def query_floats(caches):
    """Scratch of a thread for attention."""
    each = caches.widest_value() + 2 + engine.PAGE_SIZE + caches.widest_key()
    values = engine.PAGE_SIZE * (caches.widest_value() + PAD) if caches.shared() else 0
    return engine.UNIT_ROWS * each + values


def split_floats(caches, tasks):
    """Floats where steps of few tokens keep the parts of attention, and parts of one head at most."""
    tokens, span = engine.SPLIT
    parts = caches.n_ctx // span + 2
    heads = max((t.n[0] for t in tasks if t.kind == "attend"), default=0)
    return tokens * heads * parts * (caches.widest_value() + 2), parts


def experts_floats(t, tensor, quantized, capacity):
    """Floats of a thread's scratch before gathered rows (sorted pairs) and before a panel; (0, 0) elsewhere."""
    if t.kind not in EXPERTS:
        return 0, 0
    count, used, _ = t.n
    row = row_floats(("q",), tensor.shape[-1]) if quantized else floats(tensor.shape[-1])
    pairs = floats(count + 1 + capacity * used)
    return pairs, pairs + floats(engine.EXPERT_ROWS * row)


def aligned(n):
    """n floats that start on a cache line; their pages are not touched before they are used."""
    room = np.empty(max(n, 1) + PAD, np.float32)
    skip = -(address(room) // 4) % PAD
    return room[skip : skip + max(n, 1)]
