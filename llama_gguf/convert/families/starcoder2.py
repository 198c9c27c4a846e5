"""StarCoder 2: layer norms and a plain MLP in Llama's blocks."""

from ..family import Family
from ..keys import COMMON
from .parts import ATTENTION, NORMS, TOKENS

MLP = {"layers.#.mlp.c_fc": "ffn_up", "layers.#.mlp.c_proj": "ffn_down"}

FAMILIES = (
    Family("starcoder2", "Starcoder2ForCausalLM", TOKENS | NORMS | ATTENTION | MLP, COMMON, model_type="starcoder2",
           export=dict(norm_epsilon=lambda s: s[".attention.layer_norm_epsilon"]),
           defaults=dict(rope_theta=10000.0, norm_epsilon=1e-5, max_position_embeddings=4096, num_key_value_heads=2)),
)
