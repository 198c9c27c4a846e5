"""StableLM: layer norms, rope of a part of each head; norms of q and k are one tensor for each head there."""

from ..family import Family
from .parts import PLAIN

TENSORS = PLAIN | {
    "layers.#.self_attn.q_layernorm.norms.*": "attn_q_norm",
    "layers.#.self_attn.k_layernorm.norms.*": "attn_k_norm",
}
KEYS = {
    ".context_length": "max_position_embeddings",
    ".embedding_length": "hidden_size",
    ".block_count": "num_hidden_layers",
    ".feed_forward_length": "intermediate_size",
    ".rope.dimension_count": lambda c: int(c.main_rope.get("partial_rotary_factor", 0.25) * (c.width // c.heads)),
    ".attention.head_count": "num_attention_heads",
    ".attention.head_count_kv": "num_key_value_heads",
    ".use_parallel_residual": "use_parallel_residual",
    ".attention.layer_norm_epsilon": "layer_norm_eps norm_eps",
}

FAMILIES = (
    Family("stablelm", "StableLmForCausalLM StableLMEpochForCausalLM LlavaStableLMEpochForCausalLM", TENSORS, KEYS,
           model_type="stablelm",
           defaults=dict(max_position_embeddings=4096, num_key_value_heads=32, use_parallel_residual=False,
                         partial_rotary_factor=0.25, layer_norm_eps=1e-5)),
)
