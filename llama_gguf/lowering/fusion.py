"""Pairs of records that run as one."""

from collections import Counter


def fused(records, store, watched=frozenset()):
    """Pairs of records that run as one: act(x) * y, both products of a gated MLP with it, product + residual, keys
    rotated as they are stored, act(convolution). What is watched has one reader more, and stands alone.
    """
    readers = Counter(x.id for r in records for x in r.inputs) + Counter(x for x in watched if isinstance(x, int))
    makers = {r.out.id: r for r in records}
    users = {r.out.id: [n for n in records if r.out in n.inputs] for r in records if r.kind == "mul"}
    gone, result = set(), {}

    def take(r, kind, inputs, attrs, *parts):
        result[id(r)] = type(r)(kind, r.name, inputs, r.out, attrs, r.where)
        gone.update(map(id, parts))

    for r in records:
        if r.kind == "mul" and (act := single(r.inputs[0], "act", makers, readers)):
            gate, up = (single(x, "matmul", makers, readers) for x in (act.inputs[0], r.inputs[1]))
            readers8 = r.out.id not in watched and all(plain8(n, store) for n in users[r.out.id])
            if gate and up and readers8 and one_product(gate, up, store):
                weights = {"gate": gate.attrs["weight"], "up": up.attrs["weight"]}
                take(r, "gated_matmul", gate.inputs, act.attrs | weights, act, gate, up)
            else:
                take(r, "gated", (act.inputs[0], r.inputs[1]), act.attrs, act)
        elif r.kind == "act" and (source := single(r.inputs[0], "conv", makers, readers)):
            take(r, "conv", source.inputs, source.attrs | r.attrs, source)
        elif r.kind == "add" and (product := single(r.inputs[1], "matmul", makers, readers)):
            take(r, "matmul", (product.inputs[0], r.inputs[0]), product.attrs, product)
        elif r.kind == "attend" and len(r.inputs) == 3 and (turned := single(r.inputs[1], "rope", makers, readers)):
            (q, _, v), (k, angles) = r.inputs, turned.inputs
            take(r, "attend", (q, k, v, angles), r.attrs | turned.attrs | {"heads": r.attrs["heads"]}, turned)
    return [result.get(id(r), r) for r in records if id(r) not in gone]


def plain8(r, store):
    """Does this record read its input in 8 bits, and in one term?"""
    return r.kind == "matmul" and store.quantized(r.attrs["weight"].tensor) and r.attrs["terms"] == 1


def one_product(gate, up, store):
    """Can gate and up run block by block, straight into 8 bits?"""
    weights = [r.attrs["weight"] for r in (gate, up)]
    packed = all(store.packed(w.tensor) and store.quantized(w.tensor) and w.bias is None for w in weights)
    return packed and gate.inputs[0] is up.inputs[0] and gate.out.width % 32 == 0


def single(act, kind, makers, readers):
    """The record of `kind` that makes a value nobody else reads."""
    maker = makers.get(act.id)
    return maker if maker and maker.kind == kind and readers[act.id] == 1 else None
