"""Tables that many families share."""

import math

import numpy as np

from ..rules import Split, To, row_halves
from ..transforms import neighbours, plus_one

TOKENS = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}
NORMS = {"layers.#.input_layernorm": "attn_norm", "layers.#.post_attention_layernorm": "ffn_norm"}
SANDWICH = {
    "layers.#.input_layernorm": "attn_norm",
    "layers.#.post_attention_layernorm": "post_attention_norm",
    "layers.#.pre_feedforward_layernorm": "ffn_norm",
    "layers.#.post_feedforward_layernorm": "post_ffw_norm",
}
QKV = {
    "layers.#.self_attn.q_proj": "attn_q",
    "layers.#.self_attn.k_proj": "attn_k",
    "layers.#.self_attn.v_proj": "attn_v",
}
ATTENTION = QKV | {"layers.#.self_attn.o_proj": "attn_output"}
TURNED_ATTENTION = {
    **ATTENTION,
    "layers.#.self_attn.q_proj": To("attn_q", neighbours("heads")),
    "layers.#.self_attn.k_proj": To("attn_k", neighbours("kv_heads")),
}
"""Of models whose rope turns neighbouring rows in GGUF, and two halves of a head in transformers."""
QK_NORMS = {"layers.#.self_attn.q_norm": "attn_q_norm", "layers.#.self_attn.k_norm": "attn_k_norm"}
MLP = {
    "layers.#.mlp.gate_proj": "ffn_gate",
    "layers.#.mlp.up_proj": "ffn_up",
    "layers.#.mlp.down_proj": "ffn_down",
}
PLAIN = TOKENS | NORMS | ATTENTION | MLP
TURNED = TOKENS | NORMS | TURNED_ATTENTION | MLP
EXPERTS = {
    "layers.#.mlp.gate": "ffn_gate_inp",
    "layers.#.mlp.experts.*.gate_proj": "ffn_gate_exps",
    "layers.#.mlp.experts.*.up_proj": "ffn_up_exps",
    "layers.#.mlp.experts.*.down_proj": "ffn_down_exps",
    "layers.#.mlp.experts.gate_up_proj": Split("ffn_gate_exps.weight ffn_up_exps.weight", row_halves),
    "layers.#.mlp.experts.down_proj": "ffn_down_exps.weight",
}
SHARED_EXPERTS = {
    "layers.#.mlp.shared_experts.gate_proj": "ffn_gate_shexp",
    "layers.#.mlp.shared_experts.up_proj": "ffn_up_shexp",
    "layers.#.mlp.shared_experts.down_proj": "ffn_down_shexp",
}
SCORE_BIAS = {"layers.#.mlp.gate.e_score_correction_bias": "exp_probs_b.bias"}
NEXT_TOKENS = {
    "layers.#.eh_proj": "nextn.eh_proj",
    "layers.#.enorm": "nextn.enorm",
    "layers.#.hnorm": "nextn.hnorm",
    "layers.#.embed_tokens": "nextn.embed_tokens",
    "layers.#.shared_head.head": "nextn.shared_head_head",
    "layers.#.shared_head.norm": "nextn.shared_head_norm",
}
"""Blocks behind the layers that predict several tokens at once."""



def as_heads(c):
    """A config class's default of num_key_value_heads."""
    return c.heads


def head_dim(c):
    """A config class's default of head_dim."""
    return c.width // c.heads


def shifted(table):
    """Norms of a table whose weights are stored without the 1 that is added to them."""
    weights = {f"{name}.weight": To(f"{ours}.weight", plus_one) for name, ours in table.items()}
    return weights | {f"{name}.bias": f"{ours}.bias" for name, ours in table.items()}


LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)


def llama3_factors(c, **defaults):
    """`rope_freqs`: by what each frequency is divided (arXiv 2407.21783, section 3): 1 for short waves, `factor` for
    waves longer than the context of pre-training, something between for those between."""
    if c.rope_type != "llama3":
        return {}
    r = {**LLAMA3, **defaults, **c.main_rope}
    base, dim = r.get("rope_theta", 10000.0), c.head_dim
    context, low, high = (r[k] for k in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    one, factor = np.float32(1), np.float32(r["factor"])  # single precision, dividing by reciprocals, as torch does it
    exponents = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
    frequencies = one / np.power(np.float64(base), exponents).astype(np.float32)
    wavelengths = one / frequencies * np.float32(2 * math.pi)
    smooth = (one / wavelengths * np.float32(context) - np.float32(low)) / np.float32(high - low)
    factors = one / ((one - smooth) / factor + smooth)
    factors[wavelengths < context / high], factors[wavelengths > context / low] = one, factor
    return {"rope_freqs.weight": factors}


def long_factors(c):
    """`rope_factors_long` and `_short` of LongRoPE (arXiv 2402.13753), as config.json lists them."""
    lists = {name: c.main_rope.get(f"{name}_factor") for name in ("long", "short")}
    if not any(lists.values()):
        return {}
    turned = c.rope_dim()
    for name, values in lists.items():
        if not values or len(values) != turned // 2:
            raise c.error(f"{name}_factor of the rope scaling must have {turned // 2} numbers")
    return {f"rope_factors_{name}.weight": np.array(values, np.float32) for name, values in lists.items()}
