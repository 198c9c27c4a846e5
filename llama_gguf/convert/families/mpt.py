"""MPT: ALiBi, norms without biases."""

from ..family import Family

TENSORS = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "norm_f": "output_norm",
    "lm_head": "output",
    "blocks.#.norm_1": "attn_norm",
    "blocks.#.norm_2": "ffn_norm",
    "blocks.#.attn.Wqkv": "attn_qkv",
    "blocks.#.attn.out_proj": "attn_output",
    "blocks.#.attn.q_ln": "attn_q_norm",
    "blocks.#.attn.k_ln": "attn_k_norm",
    "blocks.#.ffn.up_proj": "ffn_up",
    "blocks.#.ffn.down_proj": "ffn_down",
    "blocks.#.ffn.act.scales": "ffn_act.scales",
}


def attention(name, default=None):
    return lambda c: c.get("attn_config", default={}).get(name, default)


def alibi(c):
    """How steep the steepest head is; 0 without ALiBi."""
    return float(attention("alibi_bias_max", 8)(c)) if attention("alibi", True)(c) else 0.0


KEYS = {
    ".context_length": "max_seq_len",
    ".embedding_length": "d_model",
    ".block_count": "n_layers",
    ".feed_forward_length": lambda c: 4 * c.width,
    ".attention.head_count": "n_heads",
    ".attention.head_count_kv": attention("kv_n_heads"),
    ".attention.layer_norm_epsilon": 1e-5,
    ".attention.clamp_kqv": attention("clip_qkv"),
    ".attention.max_alibi_bias": alibi,
}

FAMILIES = (
    Family("mpt", "MPTForCausalLM MptForCausalLM", TENSORS, KEYS, model_type="mpt", root="transformer.",
           vocabulary="bpe sentencepiece", defaults=dict(max_seq_len=2048)),
)
