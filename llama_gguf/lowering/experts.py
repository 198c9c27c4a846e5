"""Mixtures of experts: routing as one task, gate and up as one product, the residual added with the experts' sum."""

from collections import Counter

from .acts import ACTS
from .fusion import single

GATINGS = ("softmax", "sigmoid", "chosen", "sqrt_softplus", "nearest")  # by their numbers in pyx/isa/routing.pxi
OAI = 100  # an act of gate and up


def fused_experts(records, store, watched=frozenset()):
    """What fusion.fused left, with the steps of each mixture joined."""
    readers = Counter(x.id for r in records for x in r.inputs) + Counter(x for x in watched if isinstance(x, int))
    makers = {r.out.id: r for r in records}
    gone, result = set(), {}

    def take(r, kind, inputs, attrs, *parts):
        result[id(r)] = type(r)(kind, r.name, inputs, r.out, attrs, r.where)
        gone.update(map(id, parts))

    for r in records:
        if r.kind == "gate_weights" and watched.isdisjoint(x.id for x in r.inputs):
            probs, topk = (makers[x.id] for x in r.inputs)
            attrs = topk.attrs | {"ids": topk.out, "by_logits": topk.inputs[0] is not probs.out}
            take(r, "route", probs.inputs, attrs, probs, topk)
        elif r.kind in ("gated", "swiglu_oai"):
            gate, up = (single(x, "experts", makers, readers) for x in r.inputs)
            apart = not (gate and up) or gate.inputs != up.inputs or r.out.id in watched
            apart = apart or not reads8(r.out, records, store)
            if not apart and all(one_product(x, store) for x in (gate, up)):
                weights = {"gate": gate.attrs["weight"], "up": up.attrs["weight"]}
                take(r, "experts_gated", gate.inputs, {"fn": "oai", "f": ()} | r.attrs | gate.attrs | weights, gate, up)
        elif r.kind == "add" and (total := single(r.inputs[1], "experts_sum", makers, readers)):
            take(r, "experts_sum", total.inputs, total.attrs | {"residual": r.inputs[0]}, total)
    return [result.get(id(r), r) for r in records if id(r) not in gone]


def one_product(r, store):
    """Can it run in blocks of 32 rows, straight into the 8 bits that the experts' last product reads?"""
    tensor = r.attrs["weight"].tensor
    return store.packed(tensor) and store.quantized(tensor) and tensor.shape[1] % 32 == 0


def reads8(act, records, store):
    """Do all readers of a value take it in 8 bits?"""
    readers = [r for r in records if act in r.inputs]
    return all(r.kind == "experts_sum" and store.quantized(r.attrs["weight"].tensor) for r in readers)


class Experts:
    """Tasks of mixtures."""

    def routing(self, r):
        how = r.attrs["routing"]
        best = how.groups, how.groups_used, how.group_best
        return (how.count, how.used, GATINGS.index(how.gating), int(how.norm), *best)

    def bias(self, r):
        return {} if r.attrs["bias"] is None else {"bias": r.attrs["bias"]}

    def do_route(self, r):
        """Weights to dst, ids to q."""
        ids = r.attrs["ids"]
        task = self.task(r, n=(*self.routing(r), int(r.attrs["by_logits"])), f=(r.attrs["routing"].scale,))
        task.q, task.vectors = ("x", ids.id), self.bias(r)
        self.add(task)
        self.widths[task.q], self.made[task.q] = ids.width, task

    def do_gate_probs(self, r):
        self.add(self.task(r, n=(0, 0, GATINGS.index(r.attrs["gating"]))))

    def do_topk(self, r):
        self.add(self.task(r, n=self.routing(r), vectors=self.bias(r)))

    def do_gate_weights(self, r):
        self.add(self.task(r, n=self.routing(r), f=(r.attrs["routing"].scale,)))

    def do_experts_scale(self, r):
        self.add(self.task(r, n=(r.attrs["count"],), vectors={"gain": r.attrs["weight"]}))

    def do_experts(self, r, weight="weight", act=0):
        """Ids are b, weights (where they come before the product) a."""
        task = self.task(r, sources=("raw", "b", "a"), n=(r.attrs["count"], r.attrs["used"], act))
        task.weight = r.attrs[weight]
        if self.quantized(task.weight.tensor):
            task.sources["raw"] = self.eight_bit(r.inputs[0])
        return self.add(task)

    def do_experts_sum(self, r):
        task = self.do_experts(r)
        if "residual" in r.attrs:
            task.sources["c"] = ("x", r.attrs["residual"].id)

    def do_experts_gated(self, r):
        act = OAI if r.attrs["fn"] == "oai" else ACTS[r.attrs["fn"]]
        task = self.do_experts(r, "gate", act)
        task.other, task.dst, task.q, task.f = r.attrs["up"], None, ("q", r.out.id), r.attrs["f"]
        self.widths[task.q] = task.width

    def do_gate_shared(self, r):
        self.add(self.task(r, n=(r.inputs[1].width,), vectors={"gain": r.attrs["weight"]}))
