"""Mixtures of experts, with attention of the usual kind or by a latent."""

from ..shapes import Family
from .parts import (
    ATTENTION,
    BIASED,
    EXPERTS,
    GATED,
    HEAD_NORMS,
    LLAMA,
    MIXTURE,
    SAME_HEADS,
    SHARED,
    WHOLE_NORMS,
    experts,
    scales,
)


def mixture_keys(s):
    """Of families that give the width of an expert a key of its own."""
    return experts(s) | {".expert_feed_forward_length": s.expert_ff}


def latent_keys(s):
    keys = {
        ".attention.q_lora_rank": s.q_rank, ".attention.kv_lora_rank": s.rank,
        ".attention.key_length": s.rank + s.rope_dim, ".attention.value_length": s.rank,
        ".attention.key_length_mla": s.plain_dim + s.rope_dim, ".attention.value_length_mla": s.value_dim,
        ".leading_dense_block_count": s.dense, ".expert_shared_count": 1, ".expert_weights_scale": 1.5,
        ".expert_gating_func": 2, ".expert_weights_norm": True, ".expert_group_count": s.groups,
        ".expert_group_used_count": 1,
    }
    return mixture_keys(s) | keys


LATENT = "attn_q_a attn_q_a_norm attn_q_b attn_kv_a_mqa attn_kv_a_norm attn_k_b attn_v_b attn_output"
MOE = LLAMA.replace(GATED, MIXTURE)

MIXTURES_OF_EXPERTS = {
    "deepseek": Family(
        lambda i, s: LLAMA if i < s.dense else f"{MOE} {SHARED}",
        sizes=EXPERTS | {"dense": 1, "shared_ff": lambda s: 2 * s.expert_ff},
        keys=lambda s: mixture_keys(s) | {
            ".leading_dense_block_count": s.dense, ".expert_shared_count": s.shared_ff // s.expert_ff,
            ".expert_weights_scale": 1.0,
        },
    ),
    "deepseek2": Family(
        lambda i, s: f"attn_norm {LATENT} ffn_norm {GATED if i < s.dense else f'{MIXTURE} exp_probs_b.bias {SHARED}'}",
        keys=latent_keys,
        sizes=EXPERTS | {
            "kv_heads": 1, "experts": 8, "groups": 2, "rope_dim": 8, "q_rank": 32, "rank": 32, "plain_dim": 16,
            "value_dim": 16, "key_dim": lambda s: s.plain_dim + s.rope_dim, "dense": 1,
            "shared_ff": lambda s: s.expert_ff,
        },
    ),
    "granitemoe": Family(
        MOE, tied=True, keys=lambda s: experts(s) | scales(s) | {".attention.scale": 0.2}, sizes=EXPERTS
    ),
    "olmoe": Family(
        MOE.replace(ATTENTION, f"{ATTENTION} {WHOLE_NORMS}"), keys=experts, sizes=EXPERTS | SAME_HEADS
    ),
    "qwen2moe": Family(
        f"{MOE.replace(ATTENTION, BIASED)} {SHARED} ffn_gate_inp_shexp", sizes=EXPERTS | {"shared_ff": 64},
        keys=lambda s: mixture_keys(s) | {".expert_shared_feed_forward_length": s.shared_ff},
    ),
    "qwen3moe": Family(f"{MOE} {HEAD_NORMS}", keys=mixture_keys, sizes=EXPERTS | {"head_dim": 32}),
}
