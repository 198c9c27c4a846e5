"""GPT-NeoX and Pythia: q, k and v of a head lie together there, each for all heads here."""

from ..family import Family
from ..rules import To
from ..transforms import by_kind

TENSORS = {
    "embed_in": "token_embd",
    "final_layer_norm": "output_norm",
    "embed_out": "output",
    "layers.#.input_layernorm": "attn_norm",
    "layers.#.post_attention_layernorm": "ffn_norm",
    "layers.#.attention.query_key_value": To("attn_qkv", by_kind("heads", "heads")),
    "layers.#.attention.dense": "attn_output",
    "layers.#.mlp.dense_h_to_4h": "ffn_up",
    "layers.#.mlp.dense_4h_to_h": "ffn_down",
}
KEYS = {
    ".context_length": "max_position_embeddings",
    ".embedding_length": "hidden_size",
    ".block_count": "num_hidden_layers",
    ".feed_forward_length": "intermediate_size",
    ".rope.dimension_count": lambda c: c.rope_dim(0.25),
    ".attention.head_count": "num_attention_heads",
    ".use_parallel_residual": "use_parallel_residual",
    ".attention.layer_norm_epsilon": "layer_norm_eps",
}

FAMILIES = (
    Family("gptneox", "GPTNeoXForCausalLM", TENSORS, KEYS, model_type="gpt_neox", root="gpt_neox.",
           defaults=dict(max_position_embeddings=2048, rotary_pct=0.25, use_parallel_residual=True,
                         layer_norm_eps=1e-5)),
)
