"""GLM-4 of 2025, dense (glm4) and with experts (glm4moe)."""

from ..family import Family
from ..keys import COMMON
from ..rules import To
from ..transforms import halves
from .parts import ATTENTION, EXPERTS, MLP, NEXT_TOKENS, NORMS, QK_NORMS, SCORE_BIAS, SHARED_EXPERTS, TOKENS


def turned_rows(c):
    """How many rows of each head change order: those that turn, in models that also see pictures."""
    return c.rope_dim(0.5) if "mrope_section" in c.rope else 0


DENSE = TOKENS | ATTENTION | {
    "layers.#.input_layernorm": "attn_norm",
    "layers.#.post_attention_layernorm": "ffn_norm",
    "layers.#.post_self_attn_layernorm": "post_attention_norm",
    "layers.#.post_mlp_layernorm": "post_ffw_norm",
    "layers.#.self_attn.q_proj": To("attn_q", halves("head_dim", turned_rows)),
    "layers.#.self_attn.k_proj": To("attn_k", halves("head_dim", turned_rows)),
    "layers.#.mlp.gate_up_proj": "ffn_up",
    "layers.#.mlp.down_proj": "ffn_down",
}
MIXTURE = TOKENS | NORMS | ATTENTION | QK_NORMS | MLP | EXPERTS | SHARED_EXPERTS | SCORE_BIAS | NEXT_TOKENS | {
    "layers.#.post_attention_layernorm": "post_attention_norm",
}
KEYS = COMMON | {".rope.dimension_count": lambda c: c.rope_dim(0.5)}
MOE_KEYS = KEYS | {
    ".block_count": lambda c: c.layers + c.get("num_nextn_predict_layers", default=0),
    ".nextn_predict_layers": "num_nextn_predict_layers",
    ".expert_count": "n_routed_experts",
    ".expert_feed_forward_length": "moe_intermediate_size",
    ".expert_shared_count": "n_shared_experts",
    ".leading_dense_block_count": "first_k_dense_replace",
    ".expert_gating_func": 2,
    ".expert_weights_scale": "routed_scaling_factor",
    ".expert_weights_norm": "norm_topk_prob",
}


def tokens(**roles):
    """Ids by text, for what the folder's own files do not name."""
    return {f"tokenizer.ggml.{role}_token_id": lambda c, text=text: c.token_id(text) for role, text in roles.items()}


END, USER = "<|endoftext|>", "<|user|>"

FAMILIES = (
    Family("glm4", "Glm4ForCausalLM Glm4vForConditionalGeneration", DENSE, KEYS, model_type="glm4",
           tokens=tokens(eos=END, eot=USER, unknown=END, bos=END),
           defaults=dict(rope_theta=10000.0, partial_rotary_factor=0.5, rms_norm_eps=1.5625e-07, head_dim=128,
                         max_position_embeddings=131072, num_key_value_heads=2)),
    Family("glm4moe", "Glm4MoeForCausalLM Glm4vMoeForConditionalGeneration", MIXTURE, MOE_KEYS, model_type="glm4_moe",
           tokens=tokens(bos="[gMASK]", eot=USER, unknown=END, eom="<|observation|>"),
           defaults=dict(rope_theta=10000.0, partial_rotary_factor=0.5, rms_norm_eps=1e-5, num_key_value_heads=8,
                         max_position_embeddings=131072, num_experts_per_tok=8, n_routed_experts=128,
                         n_shared_experts=1, moe_intermediate_size=1408, first_k_dense_replace=1, n_group=1,
                         topk_group=1, routed_scaling_factor=1.0, norm_topk_prob=True)),
)
