"""DeepSeek MoE, V2, V3 (and R1), Kimi: from V2 on attention is latent.

GGUF holds the latent attention absorbed: the matrix behind the latent in two, for keys and values, the first
transposed, so that a query meets latents themselves; keys and values are then as wide as the latent, for one head.
"""

import numpy as np

from ..family import Family
from ..keys import COMMON, NO_SCALING, VOCABULARY, WHOLE_HEAD
from ..rules import Cut, Split
from .parts import EXPERTS, MLP, NORMS, SCORE_BIAS, SHARED_EXPERTS, TOKENS, TURNED


def split(x, heads, key_dim):
    """(heads * (key_dim + n), latent) to keys (heads, latent, key_dim) and values (heads, n, latent)."""
    both = x.reshape(heads, -1, x.shape[-1])
    return [both[:, :key_dim].swapaxes(1, 2), both[:, key_dim:]]


def join(parts, heads, key_dim):
    keys, values = parts
    return np.concatenate((keys.swapaxes(1, 2), values), axis=1).reshape(-1, values.shape[-1])


LATENT = TOKENS | NORMS | MLP | EXPERTS | SHARED_EXPERTS | {
    "layers.#.self_attn.q_proj": "attn_q",
    "layers.#.self_attn.q_a_proj": "attn_q_a",
    "layers.#.self_attn.q_a_layernorm": "attn_q_a_norm",
    "layers.#.self_attn.q_b_proj": "attn_q_b",
    "layers.#.self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "layers.#.self_attn.kv_a_layernorm": "attn_kv_a_norm",
    "layers.#.self_attn.kv_b_proj": Split("attn_k_b attn_v_b", Cut(split, join)("heads", "qk_nope_head_dim")),
    "layers.#.self_attn.o_proj": "attn_output",
}


def dense_layers(c):
    if c.get("first_k_dense_replace") is not None:
        return c.get("first_k_dense_replace")
    return 0 if c.get("n_routed_experts") is not None else c.layers


def log_multiplier(c):
    """A tenth of what YaRN's mscale_all_dim is, for reasons of history."""
    scale = c.main_rope.get("mscale_all_dim")
    return None if scale is None else 0.1 * scale


KEYS1 = COMMON | NO_SCALING | VOCABULARY | WHOLE_HEAD | {
    ".leading_dense_block_count": "first_k_dense_replace",
    ".expert_feed_forward_length": "moe_intermediate_size",
    ".expert_weights_scale": 1.0,
    ".expert_count": "n_routed_experts",
    ".expert_shared_count": "n_shared_experts",
}
KEYS2 = COMMON | VOCABULARY | {
    ".attention.head_count_kv": 1,
    ".leading_dense_block_count": dense_layers,
    ".attention.q_lora_rank": "q_lora_rank",
    ".attention.kv_lora_rank": "kv_lora_rank",
    ".attention.key_length": lambda c: c.need("kv_lora_rank") + c.need("qk_rope_head_dim"),
    ".attention.value_length": "kv_lora_rank",
    ".attention.key_length_mla": lambda c: c.need("qk_nope_head_dim") + c.need("qk_rope_head_dim"),
    ".attention.value_length_mla": "v_head_dim",
    ".expert_feed_forward_length": "moe_intermediate_size intermediate_size",
    ".expert_shared_count": lambda c: c.get("n_shared_experts", default=0),
    ".expert_weights_scale": "routed_scaling_factor",
    ".expert_weights_norm": lambda c: c.get("norm_topk_prob") or None,
    ".rope.dimension_count": "qk_rope_head_dim",
    ".rope.scaling.yarn_log_multiplier": log_multiplier,
}
EXPORT = dict(n_routed_experts=lambda s: s.get(".expert_count"),
              qk_nope_head_dim=lambda s: s[".attention.key_length_mla"] - s[".rope.dimension_count"],
              num_key_value_heads=lambda s: s[".attention.head_count"], head_dim=lambda s: s[".rope.dimension_count"],
              partial_rotary_factor=None) | {
    "rope_scaling.mscale_all_dim": lambda s: 10 * s.get(".rope.scaling.yarn_log_multiplier", 0) or None}
DEFAULTS = dict(rope_theta=10000.0, rms_norm_eps=1e-6, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64,
                v_head_dim=128)


def unless_tied(name, c):
    """A head that is said to be the embeddings is left out, like the predictors behind the last layer."""
    parts = name.removeprefix("model.").split(".")
    behind = len(parts) > 1 and parts[0] == "layers" and parts[1].isdecimal() and int(parts[1]) >= c.layers
    return None if behind or (parts[0] == "lm_head" and c.get("tie_word_embeddings")) else name


FAMILIES = (
    Family("deepseek", "DeepseekForCausalLM", TURNED | EXPERTS | SHARED_EXPERTS, KEYS1, model_type="deepseek",
           vocabulary="sentencepiece bpe"),
    Family("deepseek2", "DeepseekV2ForCausalLM", LATENT, KEYS2, model_type="deepseek_v2", renamed=unless_tied,
           vocabulary="bpe", export=EXPORT,
           defaults=DEFAULTS | dict(q_lora_rank=None, max_position_embeddings=2048, routed_scaling_factor=1.0,
                                    norm_topk_prob=False, first_k_dense_replace=0)),
    Family("deepseek2", "DeepseekV3ForCausalLM KimiVLForConditionalGeneration KimiK25ForConditionalGeneration "
           "YoutuForCausalLM YoutuVLForConditionalGeneration", LATENT | SCORE_BIAS, KEYS2, model_type="deepseek_v3",
           renamed=unless_tied, vocabulary="bpe", export=EXPORT,
           defaults=DEFAULTS | dict(max_position_embeddings=4096, routed_scaling_factor=2.5, norm_topk_prob=True,
                                    n_group=8, topk_group=4, first_k_dense_replace=3)),
)
