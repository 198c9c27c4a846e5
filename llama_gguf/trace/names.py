"""What the values of a pass are called: GGUF's names, and TransformerLens's for whoever comes from there.

A TransformerLens name gives that library's shape, without the batch: heads apart, (tokens, heads, head width).
"""

import difflib
import fnmatch
import re
from typing import NamedTuple

from ..lowering.attention import SHOWN, scope_of

BLOCK = {  # hooks of a block; where there are several names, the first that the layer has
    "hook_resid_pre": ("resid_pre",),
    "hook_resid_mid": ("resid_mid",),
    "hook_resid_post": ("resid_post",),
    "hook_attn_out": ("attn_out",),
    "hook_mlp_out": ("ffn_out",),
    "ln1.hook_normalized": ("attn_norm",),
    "ln2.hook_normalized": ("ffn_norm",),
    "attn.hook_q": ("attn_q", "attn_q_b"),
    "attn.hook_k": ("attn_k",),
    "attn.hook_v": ("attn_v",),
    "attn.hook_rot_q": ("attn_q_norm_rope", "attn_q_rope"),
    "attn.hook_rot_k": ("attn_k_norm_rope", "attn_k_rope"),
    "attn.hook_z": ("attn_z",),
    "attn.hook_attn_scores": ("attn_scores",),
    "attn.hook_pattern": ("attn_pattern",),
    "mlp.hook_pre": ("ffn_gate", "ffn_up", "ffn_gate_exps", "ffn_up_exps"),
    "mlp.hook_pre_linear": ("ffn_up", "ffn_up_exps"),
    "mlp.hook_post": ("ffn_act",),
    "mlp.hook_expert_weights": ("ffn_moe_weights",),
    "mlp.hook_expert_indices": ("ffn_moe_topk",),
}
WHOLE = {
    "hook_embed": "token_embd",
    "embed.hook_out": "token_embd",
    "hook_pos_embed": "position_embd",
    "ln_final.hook_normalized": "output_norm",
    "unembed": "logits",
    "unembed.hook_out": "logits",
}
HEADS = {"attn.hook_q": "heads", "attn.hook_rot_q": "heads", "attn.hook_z": "heads"} | {
    f"attn.hook_{name}": "kv_heads" for name in ("k", "rot_k", "v")
}
OTHER_LAYERS = {"a": "attn", "attn": "attn", "m": "mlp", "mlp": "mlp", "ln1": "ln1", "ln2": "ln2"}


class Value(NamedTuple):
    """What a name stands for: its name here, the key of its buffer, and heads to set apart (0: none)."""

    name: str
    key: object
    heads: int = 0


class Names:
    """The names of a graph's values, in the order of the pass; `keys` are those that Lowering watches."""

    def __init__(self, graph):
        self.h = graph.h
        self.keys = {}
        of = {}
        for name, act in graph.names.items():
            of.setdefault(act.id, []).append(name)
        for record in graph.records:
            if record.kind == "attend":
                self.keys |= {key: key for key in (scope_of(record) + shown for shown in SHOWN)}
            self.keys |= dict.fromkeys(of[record.out.id], record.out.id)
        self.keys["logits"] = graph.records[-1].out.id

    def __iter__(self):
        return iter(self.keys)

    def __contains__(self, name):
        return name in self.keys or self.translate(name) is not None

    def find(self, wanted):
        """Values of a name, a pattern ("blk.*.resid_post"), a TransformerLens name or ("resid_post", 5): a list.

        KeyError names what is near. A pattern of TransformerLens's names may be one too: "blocks.*.hook_resid_post".
        """
        name = full_name(wanted, self.h.layers) if is_short(wanted) else wanted
        if value := self.one(name):
            return [value]
        known = [*self.keys, *self.hooks()] if "hook" in name else self.keys
        if found := [self.one(n) for n in known if fnmatch.fnmatchcase(n, name)]:
            return found
        raise KeyError(self.unknown(name))

    def one(self, name):
        """The value of a whole name, or None."""
        return Value(name, self.keys[name]) if name in self.keys else self.translate(name)

    def select(self, wanted):
        """Values without doubles. `wanted`: a name, a function that is true of names, or a list of either."""
        several = [wanted] if isinstance(wanted, str) or callable(wanted) or is_short(wanted) else wanted
        return list({value.name: value for one in several for value in self.some(one)}.values())

    def some(self, wanted):
        return [self.one(name) for name in self.keys if wanted(name)] if callable(wanted) else self.find(wanted)

    def translate(self, hook):
        """The value of a TransformerLens name, or None where the model has no such."""
        if hook in WHOLE:
            name = WHOLE[hook]
            return Value(name, self.keys[name]) if name in self.keys else None
        found = re.fullmatch(r"blocks\.(\d+)\.(.+)", hook)
        if not found or found[2] not in BLOCK or int(found[1]) >= self.h.layers:
            return None
        scope, layer = f"blk.{found[1]}.", self.h.layer(int(found[1]))
        names = [scope + n for n in BLOCK[found[2]] if scope + n in self.keys]
        if not names or (found[2] == "mlp.hook_pre_linear" and not self.is_gated(scope)):
            return None
        return Value(names[0], self.keys[names[0]], getattr(layer, HEADS[found[2]]) if found[2] in HEADS else 0)

    def is_gated(self, scope):
        return f"{scope}ffn_gate" in self.keys or f"{scope}ffn_gate_exps" in self.keys

    def hooks(self):
        """Every TransformerLens name that this model has."""
        blocks = (f"blocks.{layer}.{hook}" for layer in range(self.h.layers) for hook in BLOCK)
        return [hook for hook in (*WHOLE, *blocks) if self.translate(hook)]

    def in_layers(self):
        """Names within layers, without the layer, in the order of the pass."""
        return list(dict.fromkeys(n.split(".", 2)[2] for n in self.keys if n.startswith("blk.")))

    def unknown(self, name):
        """What to say of a name that is not there."""
        known = self.hooks() if "hook" in name else list(self.keys)
        near = difflib.get_close_matches(name, known, 4, 0.6)
        hint = f"near it: {', '.join(near)}" if near else f"layers have {', '.join(self.in_layers())}"
        return f"no value of this model is called {name!r}; {hint}"


def is_short(wanted):
    """Is this ("resid_post", 5), and not several names?"""
    return isinstance(wanted, tuple) and len(wanted) > 1 and (wanted[1] is None or isinstance(wanted[1], int))


def full_name(parts, layers):
    """("resid_post", 5) or ("k", 5, "attn"), as TransformerLens's caches take them: the name of a value.

    A negative layer counts from the last one.
    """
    name, layer, *kind = parts
    if layer is None:
        return f"hook_{name}"
    layer = layer + layers if layer < 0 else layer
    if kind and kind[0] is not None:
        return f"blocks.{layer}.{OTHER_LAYERS.get(kind[0], kind[0])}.hook_{name}"
    short = {hook.rsplit("hook_", 1)[1]: hook for hook in reversed(BLOCK) if not hook.startswith("ln")}
    return f"blocks.{layer}.{short[name]}" if name in short else f"blk.{layer}.{name}"
