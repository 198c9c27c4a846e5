"""Mixtures of experts: a router picks a few of many gated networks for each token and adds up what they make.

A value of all chosen experts holds them side by side, the most likely one first: (used, rows) for each token.
"""

from ..graph import Weight, need, wrong
from .acts import silu
from .core import gated_mlp


def swiglu_oai(gate, up):
    """gate * sigmoid(1.702 gate) * (up + 1), where gate is at most 7 and up between -7 and 7."""
    return gate.graph.emit("swiglu_oai", gate, up, width=gate.width)


def moe(w, x, h, act=silu, gated=True, chosen_by=None):
    """The sum of the chosen experts' outputs by their weights, and of the shared expert's if the file has one.

    gated False: an expert is down(act(up x)). chosen_by: what the router reads, if not x.
    """
    g, r = x.graph, h.routing
    if r is None:
        raise wrong(w.ffn_gate_inp.tensor.name, "chooses experts, but the metadata has no expert_count")
    ids, weights = route(w, x if chosen_by is None else chosen_by, r)
    before = (weights,) if r.before else ()
    up, gate = up_and_gate(w) if gated else (w.ffn_up_exps, None)
    hidden = experts(up, x, r, ids, *before)
    if gate is not None:
        opened = experts(gate, x, r, ids, *before)
        hidden = act(opened, hidden) if act is swiglu_oai else act(opened) * hidden
    else:
        hidden = act(hidden)
    g.alias(f"{g.scope}ffn_act", hidden)
    down = w.ffn_down_exps
    check(down, r, hidden.width // r.used, f"the experts' {hidden.name}", x.width)
    after = () if r.before else (weights,)
    name = f"{g.scope}ffn_moe_out"
    out = g.emit("experts_sum", hidden, ids, *after, width=x.width, name=name, weight=down, **sizes(r))
    return out + shared_expert(w, x, r, act, gated) if r.shared or "ffn_up_shexp" in w else out


def moe_or_mlp(w, x, h, act=silu):
    """A mixture where the layer has a router, one gated network where it has none, as in the first layers of many."""
    return moe(w, x, h, act) if "ffn_gate_inp" in w else gated_mlp(w, x, act)


def route(w, x, r):
    """Which experts each token goes to (ids, as floats, by falling score), and their weights."""
    g, scope = x.graph, x.graph.scope
    logits = w.ffn_gate_inp.precise(x)
    if logits.width != r.count:
        raise wrong(logits.tensor, f"gives {logits.width} values, but there are {r.count} experts")
    g.alias(f"{scope}ffn_moe_logits", logits)
    bias = w.bare("exp_probs_b.bias") or w.bare("exp_probs_b")  # the latter in files of Hunyuan 3
    if r.biased and bias is None:
        raise wrong(f"{scope}exp_probs_b.bias", "is missing, by which experts are chosen")
    if bias is not None:
        need(bias.tensor, "bias", (r.count,) if len(bias.tensor.shape) == 1 else (1, r.count))  # as ERNIE 4.5's are
    probs = g.emit("gate_probs", logits, width=r.count, name=f"{scope}ffn_moe_probs", gating=r.gating)
    scores = logits if r.before else probs
    ids = g.emit("topk", scores, width=r.used, name=f"{scope}ffn_moe_topk", routing=r, bias=bias)
    weights = g.emit("gate_weights", probs, ids, width=r.used, name=f"{scope}ffn_moe_weights", routing=r)
    scales = w.bare("ffn_down_exps.scale")
    if scales is not None:
        need(scales.tensor, "norm", (r.count,))
        weights = g.emit("experts_scale", weights, ids, width=r.used, name=scales.name, weight=scales, count=r.count)
    return ids, weights


def up_and_gate(w):
    """The experts' first matrices; some files hold both in one, the gate's rows first."""
    if "ffn_gate_up_exps" not in w:
        return w.ffn_up_exps, w.ffn_gate_exps
    both = w.ffn_gate_up_exps
    if len(both.tensor.shape) != 3 or both.tensor.shape[1] % 2:
        expected = "(experts, rows of gate and of up, columns)"
        raise wrong(both.tensor.name, f"has shape {both.tensor.shape}, but {expected} is expected")
    half = both.tensor.shape[1] // 2
    return half_of(both, "ffn_up_exps", half), half_of(both, "ffn_gate_exps", 0)


class Half:
    """Half of the rows of each matrix of a tensor (experts, rows, columns), or of each vector of their biases."""

    def __init__(self, whole, name, first):
        self.whole, self.name, self.first, self.type = whole, f"{whole.name}:{name}", first, whole.type
        self.rows = whole.shape[1] // 2
        self.shape = (whole.shape[0], self.rows, *whole.shape[2:])

    @property
    def row_bytes(self):
        return self.whole.row_bytes

    @property
    def raw(self):
        """uint8 (experts, rows, row_bytes), a view."""
        return self.whole.raw.reshape(*self.whole.shape[:2], -1)[:, self.first : self.first + self.rows]

    def numpy(self):
        return self.whole.numpy()[:, self.first : self.first + self.rows]

    def release(self, first=0, rows=None):
        """Rows of one expert, or nothing: of the whole tensor, they are in between."""
        if rows is not None:
            expert, row = divmod(first, self.rows)
            self.whole.release(expert * self.whole.shape[1] + self.first + row, rows)


def half_of(weight, key, first):
    bias = None if weight.bias is None else Half(weight.bias, key, first)
    return Weight(weight.graph, f"{weight.graph.scope}{key}", Half(weight.tensor, key, first), bias)


def experts(weight, x, r, ids, *before):
    """W x of each chosen expert, (used, rows); times its weight where that comes `before`."""
    rows = check(weight, r, x.width, f"its input {x.name}")
    return x.graph.emit(
        "experts", x, ids, *before, width=r.used * rows, name=weight.name, weight=weight, **sizes(r)
    )


def sizes(r):
    return {"count": r.count, "used": r.used}


def check(weight, r, width, whose, rows=None):
    """Rows of an expert's matrix, or ModelError: (experts, rows, width), with a bias for each expert or none."""
    tensor = weight.tensor
    if len(tensor.shape) != 3:
        raise wrong(tensor.name, f"has shape {tensor.shape}, but (experts, rows, columns) is expected")
    count, found, cols = tensor.shape
    if count != r.count:
        raise wrong(tensor.name, f"holds {count} experts, but {r.count} are expected")
    if cols != width:
        raise wrong(tensor.name, f"takes {cols} values, but {whose} has {width}")
    need(tensor, "matmul", (count, rows or found, cols))
    if weight.bias is not None:
        need(weight.bias, "bias", (count, found))
    return found


def shared_expert(w, x, r, act, gated):
    """The expert that every token goes to; its weight, if it has one, is sigmoid(ffn_gate_inp_shexp . x)."""
    up = w.ffn_up_shexp @ x
    hidden = act(w.ffn_gate_shexp @ x) * up if gated else act(up)
    out = w.ffn_down_shexp @ hidden
    if r.shared != "gated" and "ffn_gate_inp_shexp" not in w:
        return out
    gate = w.ffn_gate_inp_shexp
    need(gate.tensor, "norm", (1, x.width) if len(gate.tensor.shape) == 2 else (x.width,))
    return x.graph.emit("gate_shared", out, x, width=out.width, name=f"{x.graph.scope}ffn_shexp_gated", weight=gate)
