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
    PARTIAL,
    SAME_HEADS,
    SHARED,
    WHOLE_NORMS,
    experts,
    mixture_keys,
    scales,
    window,
)

LATENT = "attn_q_a attn_q_a_norm attn_q_b attn_kv_a_mqa attn_kv_a_norm attn_k_b attn_v_b attn_output"
MOE = LLAMA.replace(GATED, MIXTURE)
BALANCED = f"{MIXTURE} exp_probs_b.bias! {SHARED}"
FUSED = f"attn_qkv attn_output {HEAD_NORMS}"
GPT_OSS = f"attn_norm {BIASED}+ attn_sinks post_attention_norm {MIXTURE.replace(' ', '+ ')}+"
DENSE_FIRST = EXPERTS | {"dense": 1, "shared_ff": lambda s: s.expert_ff}
GROUPS = {"experts": 8, "groups": 2}


def first_dense(attention, mixture, norm="ffn_norm"):
    """The block of models whose first layers have one network instead of a mixture."""
    return lambda i, s: f"attn_norm {attention} {norm} {GATED if i < s.dense else mixture}"


def shared_keys(s):
    """As DeepSeek V3 and those that choose experts like it."""
    return mixture_keys(s) | {
        ".leading_dense_block_count": s.dense, ".expert_shared_count": s.shared_ff // s.expert_ff,
        ".expert_weights_scale": 1.5, ".expert_weights_norm": True, ".expert_gating_func": 2,
    }


def softmax_keys(s):
    return shared_keys(s) | {".expert_gating_func": 1}


def group_keys(s):
    return shared_keys(s) | {".expert_group_count": s.groups, ".expert_group_used_count": 1}


def shared_width(s):
    return mixture_keys(s) | {".expert_shared_feed_forward_length": s.shared_ff}


def latent_keys(s):
    return group_keys(s) | {
        ".attention.q_lora_rank": s.q_rank, ".attention.kv_lora_rank": s.rank,
        ".attention.key_length": s.rank + s.rope_dim, ".attention.value_length": s.rank,
        ".attention.key_length_mla": s.key_dim, ".attention.value_length_mla": s.value_dim,
    }


MIXTURES_OF_EXPERTS = {
    "bailingmoe": Family(f"{MOE} {SHARED}", keys=softmax_keys, sizes=DENSE_FIRST | {"dense": 0}),
    "bailingmoe2": Family(first_dense(FUSED, BALANCED), keys=group_keys, sizes=DENSE_FIRST | GROUPS | PARTIAL),
    "deepseek": Family(
        first_dense(ATTENTION, f"{MIXTURE} {SHARED}"), keys=lambda s: softmax_keys(s) | {".expert_weights_norm": False},
        sizes=DENSE_FIRST | {"shared_ff": lambda s: 2 * s.expert_ff},
    ),
    "deepseek2": Family(
        first_dense(LATENT, BALANCED), keys=latent_keys,
        sizes=DENSE_FIRST | GROUPS | {
            "kv_heads": 1, "rope_dim": 8, "q_rank": 32, "rank": 32, "plain_dim": 16, "value_dim": 16,
            "key_dim": lambda s: s.plain_dim + s.rope_dim,
        },
    ),
    "dots1": Family(
        first_dense(f"{ATTENTION} {HEAD_NORMS}", BALANCED), keys=shared_keys, sizes=DENSE_FIRST | SAME_HEADS
    ),
    "ernie4_5-moe": Family(
        first_dense(ATTENTION, BALANCED), tied=True, sizes=DENSE_FIRST,
        keys=lambda s: shared_width(s) | {".leading_dense_block_count": s.dense, ".interleave_moe_layer_step": 1},
    ),
    "glm4moe": Family(
        first_dense(BIASED, BALANCED, "post_attention_norm"), keys=shared_keys, sizes=DENSE_FIRST | PARTIAL
    ),
    "gpt-oss": Family(
        GPT_OSS, keys=lambda s: mixture_keys(s) | window(s), sizes=EXPERTS | {"window": 8, "head_dim": 32}
    ),
    "granitemoe": Family(
        MOE, tied=True, keys=lambda s: experts(s) | scales(s) | {".attention.scale": 0.2}, sizes=EXPERTS
    ),
    "hunyuan-moe": Family(
        f"{MOE} {HEAD_NORMS} {SHARED}", tied=True, keys=shared_width, sizes=EXPERTS | {"shared_ff": 64}
    ),
    "llama4": Family(
        f"{MOE} {SHARED}", keys=lambda s: mixture_keys(s) | {".interleave_moe_layer_step": 1},
        sizes=EXPERTS | {"layers": 4, "experts_used": 1, "shared_ff": lambda s: s.expert_ff},
    ),
    "minimax-m2": Family(
        f"attn_norm {ATTENTION} {WHOLE_NORMS} ffn_norm {MIXTURE} exp_probs_b.bias!", sizes=EXPERTS | PARTIAL,
        keys=lambda s: mixture_keys(s) | {".expert_gating_func": 2},
    ),
    "olmoe": Family(
        MOE.replace(ATTENTION, f"{ATTENTION} {WHOLE_NORMS}"), keys=experts, sizes=EXPERTS | SAME_HEADS
    ),
    "qwen2moe": Family(
        f"{MOE.replace(ATTENTION, BIASED)} {SHARED} ffn_gate_inp_shexp", keys=shared_width,
        sizes=EXPERTS | {"shared_ff": 64},
    ),
    "qwen3moe": Family(f"{MOE} {HEAD_NORMS}", keys=mixture_keys, sizes=EXPERTS | {"head_dim": 32}),
}
