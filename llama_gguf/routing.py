"""How tokens find their experts: the hyperparameters of a mixture."""

from dataclasses import dataclass

EXPERTS = 1024  # more than any model has; the engine keeps as many numbers on the stack

GATINGS = {1: "softmax", 2: "sigmoid", 3: "chosen", 4: "sqrt_softplus"}
"""`expert_gating_func`: how the router's numbers become weights; "chosen" is a softmax over the chosen experts only.
A family may have "nearest" besides: for each chosen expert a softmax over it and those whose numbers are at most 2 %
less, without those chosen before it.
"""


@dataclass(frozen=True)
class Routing:
    """`used` of `count` experts for each token.

    `norm`: their weights are divided by their sum. `groups`: experts are chosen from the `groups_used` groups with the
    largest scores, which are sums of their `group_best` best experts. `before`: an expert's input is weighted, not its
    output, and experts are chosen by the router's plain numbers. `shared`: an expert for all tokens stands beside them,
    "gated": weighted by a gate of its own; "": if the file has one. `biased`: there is a bias of the choice, None: if
    the file has one.
    """

    count: int
    used: int
    gating: str = "softmax"
    norm: bool = False
    scale: float = 1.0
    groups: int = 1
    groups_used: int = 1
    group_best: int = 2
    before: bool = False
    shared: str = ""
    biased: bool | None = None


def read(meta, family):
    """Routing of a file, or None if it has no experts. `family`: what no key states, or None: it never has experts."""
    count = meta.int(".expert_count", 0, lo=0, hi=EXPERTS)
    if not count:
        return None
    if family is None:
        raise meta.error(".expert_count", f"is {count}, but {meta.arch} models are not known to have experts")
    own, gating = dict(family), meta.int(".expert_gating_func", 0, lo=0)
    if gating:
        if gating not in GATINGS:
            known = ", ".join(f"{n} ({name})" for n, name in GATINGS.items())
            raise meta.error(".expert_gating_func", f"is {gating}; known are {known}")
        own["gating"] = GATINGS[gating]
    own["norm"] = meta.bool(".expert_weights_norm", own.get("norm", False))
    own["scale"] = meta.float(".expert_weights_scale", own.get("scale", 1.0), lo=0.0) or 1.0
    used = meta.int(".expert_used_count", lo=1, hi=count)
    groups, groups_used = read_groups(meta, count, used)
    return Routing(count, used, groups=groups, groups_used=groups_used, **own)


def read_groups(meta, count, used):
    """(groups, groups that are used); 1, 1 where experts are not grouped."""
    groups = meta.int(".expert_group_count", 0, lo=0, hi=count) or 1
    if groups == 1:
        return 1, 1
    if count % groups:
        raise meta.error(".expert_group_count", f"is {groups}, which does not divide {count} experts")
    groups_used = meta.int(".expert_group_used_count", lo=1, hi=groups)
    if used > count // groups * groups_used:
        raise meta.error(".expert_used_count", f"is {used}, but {groups_used} groups have fewer experts")
    return groups, groups_used
