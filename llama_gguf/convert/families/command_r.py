"""Command R and R7B (Cohere 1 and 2): branches in parallel, logits scaled; the second with windows."""

from ..family import Family
from ..keys import COMMON, NO_SCALING, VOCABULARY
from .parts import ATTENTION, MLP, QK_NORMS, TOKENS, as_heads, head_dim

TENSORS = TOKENS | ATTENTION | QK_NORMS | MLP | {"layers.#.input_layernorm": "attn_norm", "lm_head": None}
KEYS = COMMON | NO_SCALING | {
    ".context_length": "model_max_length max_position_embeddings",
    ".logit_scale": "logit_scale",
}
KEYS2 = COMMON | NO_SCALING | VOCABULARY | {
    ".logit_scale": "logit_scale",
    ".attention.sliding_window": "sliding_window",
    ".rope.dimension_count": lambda c: int(c.get("rotary_pct", default=1.0) * (c.width // c.heads)),
}
DEFAULTS = dict(rope_theta=10000.0, layer_norm_eps=1e-5, max_position_embeddings=8192, logit_scale=0.0625,
                num_key_value_heads=as_heads)

FAMILIES = (
    Family("command-r", "CohereForCausalLM", TENSORS, KEYS, model_type="cohere",
           defaults=DEFAULTS | dict(rope_theta=500000.0)),
    Family("cohere2", "Cohere2ForCausalLM", TENSORS, KEYS2, model_type="cohere2",
           defaults=DEFAULTS | dict(head_dim=head_dim, sliding_window=4096)),
)
