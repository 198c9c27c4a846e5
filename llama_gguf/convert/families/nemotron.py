"""Nemotron: layer norms by 1 + weight, a plain MLP, rope of a part of each head."""

from ..family import Family
from ..keys import COMMON, VOCABULARY
from .parts import ATTENTION, MLP, NORMS, TOKENS, as_heads, head_dim, shifted


def linear_factor(c):
    return c.get("factor") or c.main_rope.get("factor")


KEYS = COMMON | VOCABULARY | {
    ".attention.layer_norm_epsilon": "layer_norm_eps layer_norm_epsilon norm_epsilon norm_eps",
    ".rope.dimension_count": lambda c: int(c.main_rope.get("partial_rotary_factor", 0.5) * c.width) // c.heads,
    ".rope.scaling.type": lambda c: "linear" if linear_factor(c) else "none",
    ".rope.scaling.factor": linear_factor,
}

FAMILIES = (
    Family("nemotron", "NemotronForCausalLM", TOKENS | ATTENTION | MLP | shifted(NORMS | {"norm": "output_norm"}), KEYS,
           vocabulary="sentencepiece bpe", model_type="nemotron", export=dict(hidden_act="relu2"),
           tokens_anyway={"tokenizer.ggml.padding_token_id": 0, "tokenizer.ggml.unknown_token_id": 1},
           defaults=dict(rope_theta=10000.0, partial_rotary_factor=0.5, norm_eps=1e-5, max_position_embeddings=4096,
                         head_dim=head_dim, num_key_value_heads=as_heads)),
)
