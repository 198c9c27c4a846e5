"""OLMo 1 to 3 and OLMoE: the first without weights in its norms, the later ones normed after each branch."""

from ..family import Family
from ..keys import COMMON
from .parts import ATTENTION, EXPERTS, MLP, PLAIN, QK_NORMS, TOKENS, TURNED_ATTENTION, as_heads

OLMO2 = TOKENS | ATTENTION | QK_NORMS | MLP | {
    "layers.#.post_attention_layernorm": "post_attention_norm",
    "layers.#.post_feedforward_layernorm": "post_ffw_norm",
}
KEYS = COMMON | {".attention.layer_norm_epsilon": 1e-5, ".attention.clamp_kqv": "clip_qkv"}


def local(c):
    """Which layers see a window, where there is one: OLMo 3 has three of four."""
    if c.get("sliding_window") is None:
        return None
    kinds = c.get("layer_types", default=["sliding_attention"] * 3 + ["full_attention"])
    return [kinds[i % len(kinds)] == "sliding_attention" for i in range(c.layers)]


KEYS2 = COMMON | {".attention.sliding_window": "sliding_window", ".attention.sliding_window_pattern": local}
DEFAULTS = dict(rope_theta=10000.0, rms_norm_eps=1e-5, num_key_value_heads=as_heads)

FAMILIES = (
    Family("olmo", "OlmoForCausalLM OLMoForCausalLM", TOKENS | TURNED_ATTENTION | MLP, KEYS, model_type="olmo",
           defaults=dict(rope_theta=10000.0, max_position_embeddings=2048, num_key_value_heads=as_heads)),
    Family("olmo2", "Olmo2ForCausalLM", OLMO2, KEYS2, model_type="olmo2",
           defaults=DEFAULTS | dict(max_position_embeddings=2048)),
    Family("olmo2", "Olmo3ForCausalLM", OLMO2, KEYS2, model_type="olmo3",
           defaults=DEFAULTS | dict(max_position_embeddings=2048, sliding_window=4096)),
    Family("olmoe", "OlmoeForCausalLM", PLAIN | QK_NORMS | EXPERTS,
           COMMON | {".attention.layer_norm_rms_epsilon": 1e-5}, model_type="olmoe",
           defaults=DEFAULTS | dict(max_position_embeddings=4096, num_experts=64, num_experts_per_tok=8)),
)
