"""MiniMax M2: a mixture chosen by sigmoids with a bias, norms over all queries and all keys."""

from ..family import Family
from ..keys import COMMON
from .llama import MIXTRAL
from .parts import PLAIN, QK_NORMS

KEYS = COMMON | {
    ".expert_feed_forward_length": "intermediate_size",
    ".rope.dimension_count": lambda c: c.get("rotary_dim", default=c.head_dim),
}

FAMILIES = (
    Family("minimax-m2", "MiniMaxM2ForCausalLM",
           PLAIN | QK_NORMS | MIXTRAL | {"layers.#.block_sparse_moe.e_score_correction_bias": "exp_probs_b.bias"}, KEYS,
           model_type="minimax_m2", export=dict(rotary_dim=lambda s: s[".rope.dimension_count"]),
           defaults=dict(rope_theta=5e6, rms_norm_eps=1e-6, max_position_embeddings=196608, head_dim=128,
                         num_key_value_heads=8, num_local_experts=256, num_experts_per_tok=8)),
)
