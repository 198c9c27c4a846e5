"""Apertus: the four numbers of each layer's xIELU are tensors there, metadata here."""

from ...gguf import Typed
from ..family import Family
from ..keys import COMMON, VOCABULARY, WHOLE_HEAD
from .llama import SHARED
from .parts import PLAIN, QK_NORMS, as_heads

XIELU = ("alpha_n", "alpha_p", "beta", "eps")
TENSORS = PLAIN | QK_NORMS | {
    "layers.#.attention_layernorm": "attn_norm",
    "layers.#.feedforward_layernorm": "ffn_norm",
    **{f"layers.#.mlp.act_fn.{name}": None for name in XIELU},
}


def xielu(sources, c):
    """Lists with a number for each layer, from tensors of one element."""
    found = {}
    for name in XIELU:
        layers = [sources.get(f"model.layers.{i}.mlp.act_fn.{name}") for i in range(c.layers)]
        if None in layers:
            raise c.error(f"layer {layers.index(None)} lacks mlp.act_fn.{name}")
        found[f"xielu.{name}"] = Typed([float(x.float32().reshape(-1)[0]) for x in layers], "f32")
    return found


FAMILIES = (
    Family("apertus", "ApertusForCausalLM", TENSORS, from_tensors=xielu, export=None, model_type="apertus",
           defaults=dict(rope_theta=12e6, rms_norm_eps=1e-5, max_position_embeddings=65536,
                         num_key_value_heads=as_heads,
                         rope_parameters=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                                              high_freq_factor=4.0, original_max_position_embeddings=8192)),
           **SHARED | dict(keys=COMMON | VOCABULARY | WHOLE_HEAD)),
)
