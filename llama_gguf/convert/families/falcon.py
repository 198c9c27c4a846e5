"""Falcon: groups of some queries, a key and a value each in one matrix; here all queries, all keys, all values."""

from ..family import Family
from ..keys import Fixed
from ..rules import To
from ..transforms import by_kind


def groups(c):
    return c.get("num_kv_heads", "n_head_kv", default=1)


TENSORS = {
    "word_embeddings": "token_embd",
    "ln_f": "output_norm",
    "lm_head": "output",
    "h.#.input_layernorm": "attn_norm",
    "h.#.ln_mlp": "attn_norm",
    "h.#.ln_attn": "attn_norm_2",
    "h.#.self_attention.query_key_value": To("attn_qkv", by_kind("heads", groups)),
    "h.#.self_attention.dense": "attn_output",
    "h.#.mlp.dense_h_to_4h": "ffn_up",
    "h.#.mlp.dense_4h_to_h": "ffn_down",
}
KEYS = {
    ".context_length": 2048,  # config.json does not tell
    ".tensor_data_layout": Fixed("jploski"),
    ".embedding_length": "hidden_size",
    ".feed_forward_length": lambda c: 4 * c.width,
    ".block_count": "num_hidden_layers n_layer",
    ".attention.head_count": "num_attention_heads n_head",
    ".attention.head_count_kv": groups,
    ".attention.layer_norm_epsilon": "layer_norm_epsilon",
}

FAMILIES = (
    Family("falcon", "FalconForCausalLM RWForCausalLM", TENSORS, KEYS, model_type="falcon", root="transformer.",
           defaults=dict(layer_norm_epsilon=1e-5)),
)
