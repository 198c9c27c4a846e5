"""Tensors that a model file takes if they are there, and that come all together: a file with some of them is broken.

A product without its bias, or one layer that is not normed as the others are, runs like any other and gives wrong
answers. What a family always has, its file states: `BIASES` names the weights that never go without one.
"""

import re

from .graph import wrong

TOGETHER = (  # biases of one block, of which it has all or none
    ("attn_q", "attn_k", "attn_v"), ("ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"),
)
BESIDE = {  # what layers have, all or none of those with the weight named
    "attn_q_norm.weight": "attn_output", "attn_sinks.weight": "attn_output", "attn_norm_2.weight": "attn_norm",
    "ffn_up_shexp.weight": "ffn_gate_inp", "ffn_gate_inp_shexp.weight": "ffn_up_shexp",
    "exp_probs_b.bias": "ffn_gate_inp",
}
FUSED = {"attn_qkv": ("attn_q", "attn_k", "attn_v")}  # parts of a matrix whose biases may stand alone


def check(tensors, family, layers):
    """ModelError that names the first tensor that is missing from a set."""
    blocks = {i: set() for i in range(layers)}
    for name in tensors:
        found = re.fullmatch(r"blk\.(\d+)\.(.+)", name)
        if found and int(found[1]) in blocks:
            blocks[int(found[1])].add(found[2])
    alike(blocks)
    for i, names in blocks.items():
        for stems in TOGETHER:
            biases = [f"{stem}.bias" for stem in stems if f"{stem}.bias" in names]
            for stem in stems:
                if biases and f"{stem}.bias" not in names and (f"{stem}.weight" in names or "attn_qkv.weight" in names):
                    raise missing(f"blk.{i}.{stem}.bias", f"beside {biases[0]}")
        always(names, family, f"blk.{i}.")
    always({name for name in tensors if not name.startswith("blk.")}, family, "")


def alike(blocks):
    """What one layer has beside a weight, every other layer has beside its own."""
    seen = {}
    for i, names in blocks.items():
        stems = {name.removesuffix(".weight") for name in names if name.endswith(".weight")}
        pairs = [(f"{stem}.bias", stem) for stem in stems] + [(n, w) for n, w in BESIDE.items() if w in stems]
        for name, _ in pairs:
            first = seen.setdefault(name, (i, name in names))
            if first[1] != (name in names):
                lacking, having = (i, first[0]) if first[1] else (first[0], i)
                raise missing(f"blk.{lacking}.{name}", f"though block {having} has its own")


def always(names, family, prefix):
    for stem in getattr(family, "BIASES", "").split():
        parts = [f"{part}.bias" in names for part in FUSED.get(stem, ())]
        if f"{stem}.weight" in names and f"{stem}.bias" not in names and not (parts and all(parts)):
            raise missing(f"{prefix}{stem}.bias", "and every model of the family has it")


def missing(name, why):
    return wrong(name, f"is missing, {why}; the file is damaged or some other structure")
