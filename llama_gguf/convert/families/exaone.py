"""EXAONE 4: normed after each branch; three layers of four see a window in the larger model."""

from ..family import Family
from ..keys import COMMON, VOCABULARY
from .parts import ATTENTION, MLP, QK_NORMS, TOKENS, as_heads, llama3_factors

TENSORS = TOKENS | ATTENTION | QK_NORMS | MLP | {
    "layers.#.post_attention_layernorm": "post_attention_norm",
    "layers.#.post_feedforward_layernorm": "post_ffw_norm",
}


def local(c):
    """Which layers see a window: a list of kinds, a word such as LLLG, or every but each n-th."""
    kinds, pattern = c.get("layer_types"), c.get("sliding_window_pattern")
    if c.get("sliding_window") is None:
        return None
    if kinds:
        return [kind == "sliding_attention" for kind in kinds]
    if isinstance(pattern, str):
        return [pattern[i % len(pattern)] == "L" for i in range(c.layers)]
    return [(i + 1) % pattern != 0 for i in range(c.layers)] if pattern else None


KEYS = COMMON | VOCABULARY | {
    ".attention.sliding_window": "sliding_window",
    ".attention.sliding_window_pattern": local,
}

FAMILIES = (
    Family("exaone4", "Exaone4ForCausalLM", TENSORS, KEYS, model_type="exaone4",
           extra=lambda c: llama3_factors(c, factor=16.0),
           defaults=dict(rope_theta=10000.0, rms_norm_eps=1e-5, max_position_embeddings=2048,
                         num_key_value_heads=as_heads)),
)
