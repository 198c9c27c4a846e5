"""dots.llm1: DeepSeek's mixture over plain attention with normed queries and keys."""

from ..family import Family
from ..keys import COMMON
from .parts import EXPERTS, PLAIN, QK_NORMS, SCORE_BIAS, SHARED_EXPERTS, as_heads

KEYS = COMMON | {
    ".expert_feed_forward_length": "moe_intermediate_size",
    ".leading_dense_block_count": "first_k_dense_replace",
    ".expert_shared_count": "n_shared_experts",
    ".expert_weights_scale": "routed_scaling_factor",
    ".expert_weights_norm": "norm_topk_prob",
}

FAMILIES = (
    Family("dots1", "Dots1ForCausalLM", PLAIN | QK_NORMS | EXPERTS | SHARED_EXPERTS | SCORE_BIAS, KEYS,
           model_type="dots1",
           defaults=dict(rope_theta=10000.0, rms_norm_eps=1e-6, max_position_embeddings=2048, n_group=1, topk_group=1,
                         first_k_dense_replace=0, norm_topk_prob=False, routed_scaling_factor=1.0,
                         moe_intermediate_size=1408, num_key_value_heads=as_heads)),
)
