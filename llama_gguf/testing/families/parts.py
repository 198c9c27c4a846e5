"""Texts, sizes and keys that families share."""

ATTENTION = "attn_q attn_k attn_v attn_output"
BIASED = "attn_q+ attn_k+ attn_v+ attn_output"
HEAD_NORMS = "attn_q_norm attn_k_norm"
NORMS_OF_EACH = "attn_q_norm:heads,head_dim attn_k_norm:kv_heads,head_dim"
WHOLE_NORMS = "attn_q_norm:queries attn_k_norm:keys"
GATED, PLAIN = "ffn_gate ffn_up ffn_down", "ffn_up ffn_down"
MIXTURE = "ffn_gate_inp ffn_gate_exps ffn_up_exps ffn_down_exps"
SHARED = "ffn_gate_shexp ffn_up_shexp ffn_down_shexp"

LLAMA = f"attn_norm {ATTENTION} ffn_norm {GATED}"
POST_NORMED = f"{ATTENTION} {WHOLE_NORMS} post_attention_norm {GATED} post_ffw_norm"
SANDWICH = f"attn_norm {ATTENTION} post_attention_norm ffn_norm {GATED} post_ffw_norm"
GPT = "attn_norm+ attn_qkv+ attn_output+ ffn_norm+ ffn_up+ ffn_down+"

SAME_HEADS = {"kv_heads": lambda s: s.heads}
PARTIAL = {"rope_dim": 8}
EXPERTS = {"experts": 4, "experts_used": 2, "expert_ff": lambda s: s.ff}


def window(s):
    return {".attention.sliding_window": s.window}


def scales(s):
    return {".embedding_scale": 3.0, ".residual_scale": 0.5, ".logit_scale": 2.0}


def experts(s):
    if not s.experts:
        return {}
    keys = {".expert_count": s.experts, ".expert_used_count": s.experts_used}
    return keys | ({} if s.expert_ff == s.ff else {".expert_feed_forward_length": s.expert_ff})


def mixture_keys(s):
    """Of families that give the width of an expert a key of its own."""
    return experts(s) | ({".expert_feed_forward_length": s.expert_ff} if s.experts else {})
