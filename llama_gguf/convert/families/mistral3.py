"""Mistral Small 3.1 and Ministral 3, their text part: Llama; the second with YaRN and queries that grow with length."""

from ..family import Family
from .llama import KEYS, SHARED
from .parts import TURNED

YARN = {
    ".rope.scaling.yarn_log_multiplier": lambda c: c.main_rope.get("mscale_all_dim") if is_ministral(c) else None,
    ".attention.temperature_scale": lambda c: c.main_rope.get("llama_4_scaling_beta") if is_ministral(c) else None,
}


def is_ministral(c):
    return c.get("model_type") == "ministral3"


FAMILIES = (
    Family("mistral3", "Mistral3ForConditionalGeneration Ministral3ForCausalLM", TURNED, model_type="ministral3",
           defaults=dict(rope_theta=1e6, rms_norm_eps=1e-5, max_position_embeddings=131072, head_dim=128,
                         num_key_value_heads=8), **SHARED | dict(keys=KEYS | YARN)),
)
