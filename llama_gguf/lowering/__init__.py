"""From the records of a graph to tasks, records as the engine runs them: pairs fused, 8-bit copies added.

Buffers are named by keys: ("x", id) holds a value's floats, ("q", id) its 8-bit copy and ("qq", id) one of two terms,
("cache", layer) and ("parts",) what attention writes.
"""

from .fusion import fused
from .states import StateTasks
from .task import Task

ACTS = {"silu": 0, "gelu": 1, "sigmoid": 2}
QUANTIZING = {"rms_norm", "merge", "gated", "mul", "add", "act", "scale", "conv"}  # can leave an 8-bit copy too


class Lowering(StateTasks):
    """Records to tasks. `visible`: nothing is fused and attention shows scores and pattern (at most `keys` wide)."""

    acts = ACTS

    def __init__(self, graph, store, visible=False, keys=0):
        self.graph, self.quantized, self.visible, self.keys = graph, store.quantized, visible, -(-keys // 64) * 64
        self.tasks, self.made, self.widths = [], {}, {}
        records = list(graph.records) if visible else fused(graph.records, store)
        self.terms = {}  # of a value's 8-bit copy: as many as its most exacting reader wants
        for r in records:
            if r.kind in ("matmul", "gated_matmul"):
                self.terms[r.inputs[0].id] = max(self.terms.get(r.inputs[0].id, 1), r.attrs.get("terms", 1))
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
        terms = self.terms[act.id]
        key = ("q" * terms, act.id)
        if key not in self.widths:
            maker = self.made[("x", act.id)]
            if maker.kind in QUANTIZING and not self.visible:
                maker.q, maker.terms = key, terms
            else:
                name, source = f"{act.name}:q{8 * terms}", {"a": ("x", act.id)}
                self.add(Task("quantize", name, act.width, act.wanted, sources=source, q=key, terms=terms))
            self.widths[key] = act.width
        return key

    def do_plain(self, r):
        self.add(self.task(r))

    def do_embed(self, r):
        self.add(self.task(r, weight=r.attrs["weight"]))

    def do_rms_norm(self, r):
        heads = r.attrs["heads"]
        apart = r.out.width // heads if r.attrs.get("apart") else 0
        self.add(self.task(r, n=(heads, apart), f=(self.graph.h.eps,), weight=r.attrs["gain"]))

    def do_scale(self, r):
        self.add(self.task(r, f=(r.attrs["by"],)))

    def do_act(self, r):
        self.add(self.task(r, n=(ACTS[r.attrs["fn"]],)))

    do_gated = do_act

    def do_matmul(self, r):
        task = self.task(r, sources=("raw", "c"), weight=r.attrs["weight"])
        if self.quantized(task.weight.tensor):
            task.sources["raw"], task.terms = self.eight_bit(r.inputs[0]), r.attrs["terms"]
        self.add(task)

    def do_gated_matmul(self, r):
        task = Task(r.kind, r.name, r.out.width, r.out.wanted, where=r.where, q=("q", r.out.id))
        task.sources, task.n = {"raw": self.eight_bit(r.inputs[0])}, (ACTS[r.attrs["fn"]],)
        task.weight, task.other = r.attrs["gate"], r.attrs["up"]
        self.widths[task.q] = task.width
        self.add(task)

    def do_angles(self, r):
        self.add(self.task(r, f=(r.attrs["magnitude"],), frequencies=r.attrs["frequencies"]))

    def do_rope(self, r):
        heads = r.attrs["heads"]
        self.add(self.task(r, n=(heads, r.out.width // heads, r.attrs["pairs"], int(r.attrs["neox"]))))

    def do_attend(self, r):
        q, *stored = (("x", x.id) for x in r.inputs)
        layer, heads, window, scale = (r.attrs[x] for x in ("layer", "heads", "window", "scale"))
        sources = dict(zip("abc", stored, strict=False))  # keys, values and, if keys are still to be rotated, angles
        turn = r.attrs.get("pairs", 0), int(r.attrs.get("neox", 0))
        self.add(Task("store", f"{r.name}:store", 0, sources=sources, n=turn, layer=layer, writes_cache=True))
        if self.visible:
            return self.attend_visibly(r, q, layer, heads, window, scale)
        n = (heads, None, window)  # None: parts at most, known when the cache is
        self.add(self.task(r, "attend", n=n, f=(scale,), layer=layer)).sources = {"a": q}
        self.add(self.task(r, "merge", n=n, layer=layer)).sources = {"a": ("x", r.out.id)}

    def attend_visibly(self, r, q, layer, heads, window, scale):
        scope, width, n = r.name.removesuffix("attn_z"), heads * self.keys, (heads, self.keys, window)
        scores, pattern = (("x", f"{scope}{name}") for name in ("attn_scores", "attn_pattern"))
        self.add(Task("scores", scores[1], width, dst=scores, sources={"a": q}, n=n, f=(scale,), layer=layer))
        self.add(Task("softmax", pattern[1], width, dst=pattern, sources={"a": scores}, n=n))
        self.add(self.task(r, "mix", n=n, layer=layer)).sources = {"a": pattern}
