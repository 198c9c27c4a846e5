"""Phi 1 to 2 and Phi 3 to 4: the former with biases and one norm for both branches, the latter with fused matrices."""

import math

from ..family import Family
from ..keys import BLOCKS, HEADS
from .parts import NORMS, QKV, TOKENS, as_heads, long_factors

EPSILON = ".attention.layer_norm_epsilon"
PHI2 = QKV | {
    "embed_tokens": "token_embd",
    "final_layernorm": "output_norm",
    "lm_head": "output",
    "layers.#.input_layernorm": "attn_norm",
    "layers.#.self_attn.dense": "attn_output",
    "layers.#.self_attn.q_layernorm": "attn_q_norm",
    "layers.#.self_attn.k_layernorm": "attn_k_norm",
    "layers.#.mlp.fc1": "ffn_up",
    "layers.#.mlp.fc2": "ffn_down",
}
PHI3 = TOKENS | NORMS | {
    "layers.#.self_attn.qkv_proj": "attn_qkv",
    "layers.#.self_attn.o_proj": "attn_output",
    "layers.#.mlp.gate_up_proj": "ffn_up",
    "layers.#.mlp.down_proj": "ffn_down",
}


def turned(c):
    return int(c.main_rope.get("partial_rotary_factor", 1.0) * c.width) // c.heads


def original(c):
    return c.main_rope.get("original_max_position_embeddings") or c.get("max_position_embeddings")


def attention_factor(c):
    """LongRoPE sharpens attention by how much longer the context became (arXiv 2402.13753)."""
    if not c.main_rope.get("long_factor"):
        return None
    scale = c.get("max_position_embeddings") / original(c)
    if scale <= 1:
        return 1.0
    if c.rope_type == "yarn":
        return 0.1 * math.log(scale) + 1
    return math.sqrt(1 + math.log(scale) / math.log(original(c)))


KEYS2 = BLOCKS | {
    ".feed_forward_length": lambda c: 4 * c.width,
    ".attention.head_count": lambda c: c.heads,
    ".attention.head_count_kv": lambda c: c.heads,
    ".attention.layer_norm_epsilon": "layer_norm_epsilon layer_norm_eps",
    ".rope.dimension_count": turned,
}
KEYS3 = BLOCKS | {
    ".attention.head_count": HEADS[".attention.head_count"],
    ".attention.head_count_kv": HEADS[".attention.head_count_kv"],
    ".attention.layer_norm_rms_epsilon": "rms_norm_eps",
    ".attention.sliding_window": lambda c: c.get("sliding_window", default=0),  # 0: the Phi that sees all
    ".rope.dimension_count": turned,
    ".rope.freq_base": lambda c: c.main_rope.get("rope_theta"),
    ".rope.scaling.original_context_length": original,
    ".rope.scaling.attn_factor": attention_factor,
}

FAMILIES = (
    Family("phi2", "PhiForCausalLM", PHI2, KEYS2, model_type="phi",
           export=dict(hidden_act="gelu_new", layer_norm_eps=lambda s: s[EPSILON]),
           tokens_anyway={"tokenizer.ggml.add_bos_token": False},
           defaults=dict(partial_rotary_factor=0.5, layer_norm_eps=1e-5, max_position_embeddings=2048)),
    Family("phi3", "Phi3ForCausalLM Phi4ForCausalLMV", PHI3, KEYS3, model_type="phi3", extra=long_factors,
           export=dict(sliding_window=lambda s: s[".attention.sliding_window"] or None),
           vocabulary="gpt2-class sentencepiece bpe",
           defaults=dict(rope_theta=10000.0, rms_norm_eps=1e-5, max_position_embeddings=4096,
                         original_max_position_embeddings=4096, num_key_value_heads=as_heads)),
)
