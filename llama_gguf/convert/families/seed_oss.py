"""Seed-OSS: as Llama, with rope of two halves and biases of q, k and v."""

from ..family import Family
from ..keys import COMMON
from .parts import PLAIN

FAMILIES = (
    Family("seed_oss", "SeedOssForCausalLM",
           PLAIN | {"layers.#.post_attention_layernorm": "post_attention_norm"}, COMMON, model_type="seed_oss",
           defaults=dict(rope_theta=10000.0, rms_norm_eps=1e-6, max_position_embeddings=524288, head_dim=128,
                         num_key_value_heads=8)),
)
