"""InternLM 2: q, k and v in one matrix, group by group of the keys; q and k change order as in Llama."""

import numpy as np

from ..family import Family
from ..keys import COMMON
from ..rules import Cut, Split
from ..transforms import neighbours


def split(x, heads, kv_heads):
    """Groups of some queries, a key and a value each, to all queries, all keys, all values."""
    groups = x.reshape(kv_heads, heads // kv_heads + 2, -1, *x.shape[1:])
    return [part.reshape(-1, *x.shape[1:]) for part in (groups[:, :-2], groups[:, -2], groups[:, -1])]


def join(parts, heads, kv_heads):
    groups = [x.reshape(kv_heads, n, -1, *x.shape[1:]) for x, n in zip(parts, (heads // kv_heads, 1, 1), strict=True)]
    return np.concatenate(groups, axis=1).reshape(-1, *parts[0].shape[1:])


TENSORS = {
    "tok_embeddings": "token_embd",
    "norm": "output_norm",
    "output": "output",
    "layers.#.attention_norm": "attn_norm",
    "layers.#.attention.wqkv": Split("attn_q attn_k attn_v", Cut(split, join)("heads", "kv_heads"),
                                     (neighbours("heads"),), (neighbours("kv_heads"),), ()),
    "layers.#.attention.wo": "attn_output",
    "layers.#.ffn_norm": "ffn_norm",
    "layers.#.feed_forward.w1": "ffn_gate",
    "layers.#.feed_forward.w2": "ffn_down",
    "layers.#.feed_forward.w3": "ffn_up",
}

FAMILIES = (
    Family("internlm2", "InternLM2ForCausalLM", TENSORS, COMMON, vocabulary="sentencepiece llama",
           model_type="internlm2",
           tokens_anyway={"tokenizer.ggml.eos_token_id": lambda c: c.token_id("<|im_end|>"),  # of the chat models
                          "tokenizer.ggml.add_space_prefix": lambda c: c.adds_space}),
)
