"""Llama 4, its text part: rope of neighbours in both formats, experts in one transposed tensor, one shared by all."""

from ..family import Family
from ..keys import COMMON, VOCABULARY, WHOLE_HEAD
from ..rules import Split, To, column_halves
from ..transforms import transposed
from .parts import ATTENTION, NORMS, TOKENS, llama3_factors

TENSORS = TOKENS | NORMS | ATTENTION | {
    "layers.#.feed_forward.router": "ffn_gate_inp",
    "layers.#.feed_forward.gate_proj": "ffn_gate",
    "layers.#.feed_forward.up_proj": "ffn_up",
    "layers.#.feed_forward.down_proj": "ffn_down",
    "layers.#.feed_forward.experts.gate_up_proj": Split("ffn_gate_exps.weight ffn_up_exps.weight", column_halves),
    "layers.#.feed_forward.experts.down_proj": To("ffn_down_exps.weight", transposed),
    "layers.#.feed_forward.shared_expert.gate_proj": "ffn_gate_shexp",
    "layers.#.feed_forward.shared_expert.up_proj": "ffn_up_shexp",
    "layers.#.feed_forward.shared_expert.down_proj": "ffn_down_shexp",
}


def no_window(c):
    """0 where all layers see all; else the chunk of 8192 that every reader knows."""
    kinds = c.get("layer_types")
    return 0 if kinds and all(kind == "full_attention" for kind in kinds) else None


KEYS = COMMON | VOCABULARY | WHOLE_HEAD | {
    ".feed_forward_length": "intermediate_size_mlp",
    ".interleave_moe_layer_step": "interleave_moe_layer_step",
    ".expert_feed_forward_length": "intermediate_size",
    ".attention.sliding_window": no_window,
}

FAMILIES = (
    Family("llama4", "Llama4ForConditionalGeneration Llama4ForCausalLM", TENSORS, KEYS, model_type="llama4_text",
           extra=llama3_factors,
           defaults=dict(rope_theta=500000.0, rms_norm_eps=1e-5, max_position_embeddings=131072, head_dim=128,
                         num_key_value_heads=8, num_experts_per_tok=1, num_local_experts=16,
                         intermediate_size=8192, intermediate_size_mlp=16384, interleave_moe_layer_step=1)),
)
