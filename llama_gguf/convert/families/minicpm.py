"""MiniCPM 1 and 2: Llama whose embeddings, branches and logits are scaled."""

from ..family import Family
from ..keys import COMMON
from .parts import TURNED, long_factors

KEYS = COMMON | {
    ".embedding_scale": "scale_emb",
    ".residual_scale": lambda c: c.need("scale_depth") / c.layers**0.5,
    ".logit_scale": lambda c: c.width / c.need("dim_model_base"),
}

FAMILIES = (
    Family("minicpm", "MiniCPMForCausalLM", TURNED, KEYS, model_type="minicpm", extra=long_factors,
           vocabulary="sentencepiece llama",
           export=dict(scale_emb=lambda s: s[".embedding_scale"],
                       scale_depth=lambda s: round(s[".residual_scale"] * s[".block_count"] ** 0.5, 6),
                       dim_model_base=lambda s: round(s[".embedding_length"] / s[".logit_scale"]))),
)
