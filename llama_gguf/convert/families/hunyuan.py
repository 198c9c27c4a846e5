"""Hunyuan, dense and with experts: queries and keys normed after they turned; a base of rope made larger by alpha."""

from ..family import Family
from ..keys import COMMON
from .parts import EXPERTS, PLAIN, as_heads

TENSORS = PLAIN | {
    "layers.#.self_attn.query_layernorm": "attn_q_norm",
    "layers.#.self_attn.key_layernorm": "attn_k_norm",
}
MIXTURE = TENSORS | EXPERTS | {
    "layers.#.mlp.gate.wg": "ffn_gate_inp",
    "layers.#.mlp.shared_mlp.gate_proj": "ffn_gate_shexp",
    "layers.#.mlp.shared_mlp.up_proj": "ffn_up_shexp",
    "layers.#.mlp.shared_mlp.down_proj": "ffn_down_shexp",
}
TRAINED = 256 * 1024
"""Positions that alpha is made for; config.json states fewer."""


def dynamic(c, *kinds):
    return c.rope_type in (kinds or ("dynamic", "xdrope"))


def base(alpha):
    """The base of rope, stretched by alpha as NTK-aware scaling does."""
    def stretched(c):
        theta, dim = c.main_rope.get("rope_theta", 10000.0), c.head_dim
        return theta * c.main_rope.get("alpha", alpha) ** (dim / (dim - 2)) if dynamic(c) else theta

    return stretched


def scaling(alpha):
    return {
        ".context_length": lambda c: TRAINED if dynamic(c, "dynamic") else c.get("max_position_embeddings"),
        ".rope.freq_base": base(alpha),
        ".rope.scaling.type": lambda c: "none" if dynamic(c) else COMMON[".rope.scaling.type"](c),
        ".rope.scaling.factor": lambda c: 1.0 if dynamic(c) else COMMON[".rope.scaling.factor"](c),
        ".rope.scaling.original_context_length": lambda c: (
            TRAINED if dynamic(c, "dynamic") else COMMON[".rope.scaling.original_context_length"](c)),
    }


def same(name):
    """A number that config.json may state for each layer anew; GGUF has one for all."""
    def number(c):
        value = c.get(name)
        values = value if isinstance(value, list) else [value]
        if len(set(values)) > 1:
            raise c.error(f"{name} differs from layer to layer, which GGUF cannot say")
        return values[0]

    return number


def turn_end(c):
    """The first of several ends that generation_config.json lists."""
    ends = c.generation.get("eos_token_id")
    return ends[0] if isinstance(ends, list) and len(ends) > 1 else None


KEYS = COMMON | scaling(50) | {".expert_count": lambda c: c.get("num_experts") if c.get("num_experts", default=1) > 1
                               else None}
MOE_KEYS = COMMON | scaling(1000) | {
    ".expert_shared_feed_forward_length": "intermediate_size",
    ".expert_feed_forward_length": same("moe_intermediate_size"),
    ".expert_used_count": same("moe_topk"),
    ".expert_shared_count": same("num_shared_expert"),
}


def unless_tied(name, c):
    return None if name == "lm_head.weight" and c.get("tie_word_embeddings") else name


DEFAULTS = dict(rope_theta=10000.0, rms_norm_eps=1e-5, max_position_embeddings=2048, num_key_value_heads=as_heads)

FAMILIES = (
    Family("hunyuan-dense", "HunYuanDenseV1ForCausalLM", TENSORS, KEYS, model_type="hunyuan_v1_dense",
           renamed=unless_tied, defaults=DEFAULTS | dict(eod_token_id=3),
           tokens_anyway={"tokenizer.ggml.eos_token_id": "eod_token_id", "tokenizer.ggml.eot_token_id": turn_end}),
    Family("hunyuan-moe", "HunYuanMoEV1ForCausalLM", MIXTURE, MOE_KEYS, model_type="hunyuan_v1_moe",
           renamed=unless_tied, defaults=DEFAULTS,
           export=dict(moe_intermediate_size=lambda s: s[".expert_feed_forward_length"],
                       moe_topk=lambda s: s[".expert_used_count"],
                       num_shared_expert=lambda s: s[".expert_shared_count"],
                       intermediate_size=lambda s: s[".expert_shared_feed_forward_length"])),
)
