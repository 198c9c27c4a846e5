"""ERNIE 4.5, dense and with experts; older folders hold q, k and v in one matrix, and gate and up in another."""

from ..family import Family
from ..keys import COMMON
from ..rules import Split, To, row_halves, rows
from ..transforms import flat
from .parts import EXPERTS, PLAIN, SHARED_EXPERTS

DENSE = PLAIN | {
    "layers.#.self_attn.qkv_proj": Split("attn_q attn_k attn_v", rows("q_rows", "kv_rows", "kv_rows")),
    "layers.#.mlp.up_gate_proj": Split("ffn_gate ffn_up", row_halves),
}
MIXTURE = DENSE | EXPERTS | SHARED_EXPERTS | {
    "layers.#.mlp.moe_statics.e_score_correction_bias": To("exp_probs_b.bias", flat),
}
MOE_KEYS = COMMON | {
    ".expert_count": "moe_num_experts",
    ".expert_used_count": "moe_k",
    ".interleave_moe_layer_step": "moe_layer_interval",
    ".leading_dense_block_count": "moe_layer_start_index",
    ".expert_feed_forward_length": "moe_intermediate_size",
    ".expert_shared_count": "moe_num_shared_experts",
    ".expert_shared_feed_forward_length": lambda c: (
        c.get("intermediate_size") // c.kv_heads if c.get("moe_num_shared_experts") else None),
}
DEFAULTS = dict(rope_theta=500000.0, rms_norm_eps=1e-5, max_position_embeddings=131072)
SHARED = dict(vocabulary="sentencepiece bpe",
              tokens_anyway={"tokenizer.ggml.add_space_prefix": lambda c: c.tokenizer.get("add_prefix_space")})

FAMILIES = (
    Family("ernie4_5", "Ernie4_5ForCausalLM Ernie4_5_ForCausalLM", DENSE, COMMON, model_type="ernie4_5",
           defaults=DEFAULTS | dict(head_dim=128, num_key_value_heads=2), **SHARED),
    Family("ernie4_5-moe", "Ernie4_5_MoeForCausalLM", MIXTURE, MOE_KEYS, model_type="ernie4_5_moe",
           defaults=DEFAULTS | dict(num_key_value_heads=4, moe_intermediate_size=1536, moe_k=6, moe_num_experts=64,
                                    moe_num_shared_experts=2, moe_layer_start_index=1, moe_layer_interval=1),
           ignored=("mtp_block", "mtp_emb_norm", "mtp_hidden_norm", "mtp_linear_proj"), **SHARED),
)
