"""Qwen 2 and 3 with experts; the second generation has one more that every token meets, behind a gate."""

from ..family import Family
from ..keys import COMMON
from .parts import EXPERTS, PLAIN, QK_NORMS

SHARED_EXPERT = {
    "layers.#.mlp.shared_expert.gate_proj": "ffn_gate_shexp",
    "layers.#.mlp.shared_expert.up_proj": "ffn_up_shexp",
    "layers.#.mlp.shared_expert.down_proj": "ffn_down_shexp",
    "layers.#.mlp.shared_expert_gate": "ffn_gate_inp_shexp",
}
KEYS = COMMON | {
    ".expert_feed_forward_length": "moe_intermediate_size",
    ".expert_shared_feed_forward_length": "shared_expert_intermediate_size",
}
EXPORT = dict(num_experts=lambda s: s[".expert_count"])
DEFAULTS = dict(rope_theta=10000.0, rms_norm_eps=1e-6, max_position_embeddings=32768)

FAMILIES = (
    Family("qwen2moe", "Qwen2MoeForCausalLM", PLAIN | EXPERTS | SHARED_EXPERT, KEYS, model_type="qwen2_moe",
           export=EXPORT,
           defaults=DEFAULTS | dict(num_key_value_heads=16, moe_intermediate_size=1408, num_experts=60,
                                    shared_expert_intermediate_size=5632, num_experts_per_tok=4)),
    Family("qwen3moe", "Qwen3MoeForCausalLM", PLAIN | QK_NORMS | EXPERTS, KEYS, model_type="qwen3_moe",
           export=EXPORT | dict(norm_topk_prob=True),
           defaults=DEFAULTS | dict(num_key_value_heads=4, moe_intermediate_size=768, num_experts=128,
                                    num_experts_per_tok=8)),
)
