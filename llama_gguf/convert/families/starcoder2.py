"""StarCoder 2: layer norms and a plain MLP in Llama's blocks."""

from ..family import Family
from ..keys import COMMON
from .parts import PLAIN

FAMILIES = (
    Family("starcoder2", "Starcoder2ForCausalLM",
           PLAIN | {"layers.#.mlp.c_fc": "ffn_up", "layers.#.mlp.c_proj": "ffn_down"}, COMMON, model_type="starcoder2",
           defaults=dict(rope_theta=10000.0, norm_epsilon=1e-5, max_position_embeddings=4096, num_key_value_heads=2)),
)
