"""BLOOM: ALiBi instead of positions, a norm of the embeddings, q, k and v of a head together."""

from ..family import Family
from ..rules import To
from ..transforms import by_kind

TENSORS = {
    "word_embeddings": "token_embd",
    "word_embeddings_layernorm": "token_embd_norm",
    "ln_f": "output_norm",
    "lm_head": "output",
    "h.#.input_layernorm": "attn_norm",
    "h.#.post_attention_layernorm": "ffn_norm",
    "h.#.self_attention.query_key_value": To("attn_qkv", by_kind("heads", "heads")),
    "h.#.self_attention.dense": "attn_output",
    "h.#.mlp.dense_h_to_4h": "ffn_up",
    "h.#.mlp.dense_4h_to_h": "ffn_down",
}
KEYS = {
    ".context_length": lambda c: c.get("seq_length", default=c.width),
    ".embedding_length": "hidden_size n_embed",
    ".feed_forward_length": lambda c: 4 * c.width,
    ".block_count": "n_layer num_hidden_layers",
    ".attention.head_count": "n_head num_attention_heads",
    ".attention.head_count_kv": "n_head num_attention_heads",
    ".attention.layer_norm_epsilon": "layer_norm_epsilon",
}

FAMILIES = (
    Family("bloom", "BloomForCausalLM BloomModel", TENSORS, KEYS, model_type="bloom", root="transformer.",
           defaults=dict(layer_norm_epsilon=1e-5), export=dict(seq_length=lambda s: s[".context_length"])),
)
