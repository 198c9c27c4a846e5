"""Hyperparameters: tables of GGUF keys, each with where config.json has the value.

A key that starts with "." gets the architecture before it. On the right stands a string with the names that
config.json may use, the best first (absent: the key is left out), a function of the Config, or a value: a number as it
is, a word as Fixed.
"""

import math

from ..errors import ModelError
from ..gguf import Typed

FLOATS = {
    "general.sampling.top_p", "general.sampling.min_p", "general.sampling.xtc_probability",
    "general.sampling.xtc_threshold", "general.sampling.temp", "general.sampling.penalty_repeat",
    "general.sampling.mirostat_tau", "general.sampling.mirostat_eta",
    ".rope.freq_base", ".rope.freq_base_swa", ".rope.scaling.factor", ".rope.scaling.attn_factor",
    ".rope.scaling.yarn_ext_factor", ".rope.scaling.yarn_attn_factor", ".rope.scaling.yarn_beta_fast",
    ".rope.scaling.yarn_beta_slow", ".rope.scaling.yarn_log_multiplier", ".attention.layer_norm_rms_epsilon",
    ".attention.layer_norm_epsilon", ".attention.scale", ".attention.clamp_kqv", ".attention.max_alibi_bias",
    ".attention.temperature_scale", ".embedding_scale", ".residual_scale", ".logit_scale", ".expert_weights_scale",
    ".attn_logit_softcapping", ".final_logit_softcapping",
}
"""Keys whose value is a float, also where config.json writes it as an integer."""

KINDS = {bool: "bool", str: "str", int: "i32", float: "i32"}
GATING = {"softmax": 1, "sigmoid": 2, "sqrtsoftplus": 4}


class Fixed:
    """A word that is the value itself, not the name of a key."""

    def __init__(self, value):
        self.value = value


def rope_scaling(name, *kinds):
    """A function that reads `name` of the rope parameters where the scaling is one of `kinds`."""
    return lambda c: c.main_rope.get(name) if c.rope_type in kinds and c.main_rope.get("factor") is not None else None


def scaling_type(c):
    if c.rope_type in ("linear", "yarn") and c.main_rope.get("factor") is not None:
        return c.rope_type
    return "longrope" if c.rope_type in ("su", "longrope") else None


def original_context(c):
    if scaling_type(c) != "yarn":
        return None
    value = c.main_rope.get("original_max_position_embeddings")
    return value if value is not None else c.get("max_position_embeddings")


def sections(c):
    """The four parts of a head that multimodal positions turn; the last ones may be none."""
    given = c.rope.get("mrope_section")
    return Typed([*given, 0, 0, 0, 0][:4], "i32") if given else None


def gating(c):
    name = c.get("score_function", "scoring_func", "score_func", "moe_router_activation", "moe_router_activation_func",
                 "expert_selection_fn")
    if name is None:
        return None
    if name not in GATING:
        raise ModelError(f"experts are chosen by {name!r}, which no GGUF model knows", path=c.path)
    return GATING[name]


BLOCKS = {
    ".block_count": lambda c: c.layers,
    ".context_length": "max_position_embeddings n_ctx n_positions max_length max_sequence_length model_max_length",
    ".embedding_length": lambda c: c.width,
    ".feed_forward_length":
        "prefix_dense_intermediate_size dense_intermediate_size intermediate_size n_inner hidden_dim",
}
HEADS = {
    ".attention.head_count": "num_attention_heads n_head n_heads",
    ".attention.head_count_kv": "num_key_value_heads n_kv_heads",
    ".attention.key_length": "head_dim",
    ".attention.value_length": "head_dim",
}
NORMS = {
    ".attention.layer_norm_rms_epsilon": "rms_norm_eps norm_eps",
    ".attention.layer_norm_epsilon": "layer_norm_eps layer_norm_epsilon norm_epsilon",
}
ROPE = {
    ".rope.freq_base": lambda c: c.main_rope.get("rope_theta"),
    ".rope.freq_base_swa": lambda c: c.rope.get("sliding_attention", {}).get("rope_theta"),
    ".rope.scaling.type": scaling_type,
    ".rope.scaling.factor": rope_scaling("factor", "linear", "yarn"),
    ".rope.scaling.original_context_length": original_context,
    ".rope.scaling.yarn_ext_factor": rope_scaling("extrapolation_factor", "yarn"),
    ".rope.scaling.yarn_attn_factor": lambda c: (rope_scaling("attention_factor", "yarn")(c)
                                                 or rope_scaling("attn_factor", "yarn")(c)),
    ".rope.scaling.yarn_beta_fast": rope_scaling("beta_fast", "yarn"),
    ".rope.scaling.yarn_beta_slow": rope_scaling("beta_slow", "yarn"),
    ".rope.dimension_sections": sections,
}
EXPERTS = {
    ".expert_count": "num_local_experts num_experts n_routed_experts",
    ".expert_used_count": "num_experts_per_tok num_experts_per_token top_k_experts",
    ".expert_group_count": "n_group",
    ".expert_group_used_count": "topk_group",
    ".expert_gating_func": gating,
}
COMMON = {
    **BLOCKS, **HEADS, **NORMS, **ROPE, **EXPERTS,
    ".attention.causal": lambda c: False if c.get("is_causal") is False else None,
}
VOCABULARY = {".vocab_size": "vocab_size"}
WHOLE_HEAD = {".rope.dimension_count": lambda c: c.head_dim}
"""The whole head turns."""
NO_SCALING = {".rope.scaling.type": Fixed("none")}


def metadata(table, arch, config):
    """GGUF key to Typed, for a table as above."""
    found = {}
    for key, source in table.items():
        value = _value(source, config)
        if value is not None:
            found[arch + key if key.startswith(".") else key] = typed(key, value, config)
    return found


def _value(source, config):
    if isinstance(source, str):
        return config.get(*source.split())
    if isinstance(source, Fixed):
        return source.value
    return source(config) if callable(source) else source


def typed(key, value, config):
    """A value with its kind: u32, f32, bool or str, and arrays of i32, f32, bool or str."""
    if isinstance(value, Typed):
        return value
    values = value if isinstance(value, list) else [value]
    kind = "f32" if key in FLOATS else KINDS[type(values[0])] if values and type(values[0]) in KINDS else None
    if kind in ("i32", "f32") and not all(type(v) in (int, float) and math.isfinite(v) for v in values):
        raise ModelError(f"{value!r} for {key} is not a finite number", path=config.path)
    if kind == "i32":
        if not all(v == int(v) and 0 <= v < 1 << 31 for v in values):
            raise ModelError(f"{value!r} for {key} must be a whole number of at most 31 bits", path=config.path)
        value = [int(v) for v in values] if isinstance(value, list) else int(value)
        kind = "i32" if isinstance(value, list) else "u32"
    if kind is None:
        raise ModelError(f"{value!r} cannot be the value of {key}", path=config.path)
    return Typed(value, kind)
