"""From a family's names and a model's sizes to keys and shapes.

A family lists its tensors as a text of names: "attn_norm attn_q+ ffn_up:2*ff,width ssm_a!" are attn_norm.weight,
attn_q.weight with its bias, ffn_up.weight in another shape than SHAPES has, and ssm_a as it stands.
"""

import math
from dataclasses import dataclass, field
from types import SimpleNamespace

SHAPES = {  # what is not here is a vector of `width`
    "token_embd": "tokens,width", "output": "tokens,width", "position_embd": "context,width", "token_types": "2,width",
    "attn_q": "queries,width", "attn_k": "keys,width", "attn_v": "values,width", "attn_output": "width,joined",
    "attn_qkv": "queries+keys+values,width", "attn_q_norm": "head_dim", "attn_k_norm": "head_dim",
    "attn_sinks": "heads",
    "ffn_gate": "ff,width", "ffn_up": "ff,width", "ffn_down": "width,ff",
    "ffn_gate_inp": "experts,width", "exp_probs_b.bias": "experts", "exp_probs_b": "experts",
    "ffn_gate_exps": "experts,expert_ff,width", "ffn_up_exps": "experts,expert_ff,width",
    "ffn_down_exps": "experts,width,expert_ff", "ffn_down_exps.scale": "experts",
    "ffn_gate_shexp": "shared_ff,width", "ffn_up_shexp": "shared_ff,width", "ffn_down_shexp": "width,shared_ff",
    "ffn_gate_inp_shexp": "1,width",
    "attn_q_a": "q_rank,width", "attn_q_a_norm": "q_rank", "attn_q_b": "heads*key_dim,q_rank",
    "attn_kv_a_mqa": "rank+rope_dim,width", "attn_kv_a_norm": "rank", "attn_k_b": "heads,rank,plain_dim",
    "attn_v_b": "heads,value_dim,rank", "attn_kv_b": "heads*plain_dim+heads*value_dim,rank",
    "ssm_x": "rank+2*state,inner", "ssm_dt": "inner,rank", "ssm_dt.bias": "rank", "ssm_out": "width,inner",
    "ssm_a": "rank,1", "ssm_d": "rank,1", "ssm_dt_norm": "rank", "ssm_b_norm": "state", "ssm_c_norm": "state",
    "ssm_alpha": "rank,width", "ssm_beta": "rank,width", "attn_gate": "inner,width",
    "attn_sub_norm": "joined", "ffn_sub_norm": "ff",
    "shortconv.conv": "width,taps", "shortconv.in_proj": "3*width,width", "shortconv.out_proj": "width,width",
}

SIZES = {  # and their defaults; a function of those before it where it follows from them
    "layers": 2, "width": 64, "heads": 4, "kv_heads": 2, "head_dim": lambda s: s.width // s.heads, "ff": 96,
    "context": 256, "eps": 1e-5, "rope_base": 10000.0, "rope_dim": lambda s: s.head_dim,
    "value_dim": lambda s: s.head_dim,
}


@dataclass(frozen=True)
class Family:
    """Tensors of a block, or a function (layer, sizes) that tells them, those `around` the blocks, or a function of the
    sizes, and what else a file of the family states. `keys`: a function of the sizes; one that begins with a dot is the
    architecture's. `sizes`: defaults of its own, and sizes that only it has. `factors`: of vectors by name, functions
    of their length.
    """

    block: object
    around: object = "output_norm"
    norm: str = "rms"  # or "layer": whose epsilon the file states
    rope: bool = True
    tied: bool = False
    output: str = "output"
    qk_norms: str = "attn_q_norm attn_k_norm"  # that `tiny` adds on request
    keys: object = lambda s: {}
    sizes: dict = field(default_factory=dict)
    factors: dict = field(default_factory=dict)


def sizes_of(family, given, tokens):
    """All sizes of a model, as attributes; TypeError for a name that the family does not have."""
    rules = SIZES | family.sizes
    if unknown := given.keys() - rules:
        raise TypeError(f"there is no size {', '.join(sorted(unknown))}; there are {', '.join(rules)}")
    s = SimpleNamespace(tokens=tokens)
    for name, rule in rules.items():
        value = given.get(name)
        setattr(s, name, value if value is not None else rule(s) if callable(rule) else rule)
    s.queries, s.keys, s.values = s.heads * s.head_dim, s.kv_heads * s.head_dim, s.kv_heads * s.value_dim
    s.joined = s.heads * s.value_dim
    return s


def common_keys(arch, family, s):
    keys = {
        ".block_count": s.layers,
        ".context_length": s.context,
        ".embedding_length": s.width,
        ".feed_forward_length": s.ff,
        ".attention.head_count": s.heads,
        ".attention.head_count_kv": s.kv_heads,
        ".attention.key_length": s.head_dim,
        ".attention.value_length": s.value_dim,
        f".attention.layer_norm_{'rms_' if family.norm == 'rms' else ''}epsilon": s.eps,
    }
    if family.rope:
        keys |= {".rope.dimension_count": s.rope_dim, ".rope.freq_base": float(s.rope_base)}
    keys |= {".vocab_size": s.tokens} | family.keys(s)
    named = {arch + k if k.startswith(".") else k: v for k, v in keys.items()}
    return {"general.architecture": arch, "general.name": f"tiny {arch}"} | named


def all_shapes(family, s, tied, biases, qk_norms):
    """Name to shape, in the order of the file."""
    around = family.around(s) if callable(family.around) else family.around
    found = shapes("token_embd", s) | shapes(around, s) | ({} if tied else shapes(family.output, s))
    for i in range(s.layers):
        names = family.block(i, s) if callable(family.block) else family.block
        block = shapes(names, s, biases)
        block |= shapes(family.qk_norms, s) if qk_norms else {}
        found |= {f"blk.{i}.{name}": shape for name, shape in block.items()}
    return found


def shapes(names, s, biases=False):
    """Shapes of the tensors that a text names; `biases`: all matrices have one."""
    found = {}
    for item in names.split():
        name, _, text = item.partition(":")
        stem = name.rstrip("+!")
        shape = tuple(size(part, s) for part in (text or SHAPES.get(stem, "width")).split(","))
        found[stem if name.endswith("!") else f"{stem}.weight"] = shape
        if name.endswith("+") or (biases and len(shape) > 1 and not name.endswith("!")):
            found[f"{stem}.bias"] = shape[:-1] if is_matrix(stem, shape) else shape
    return found


def is_matrix(stem, shape):
    """Does a product use it? A norm may have a row for each head."""
    return len(shape) > 1 and "norm" not in stem


def size(text, s):
    """Sums of products: "queries+2*keys"."""
    return sum(math.prod(factor(f, s) for f in term.split("*")) for term in text.split("+"))


def factor(text, s):
    return int(text) if text.isdigit() else getattr(s, text)
