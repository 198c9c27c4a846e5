"""Ling (BailingMoE) 1 and 2: q, k and v in one matrix; the first generation's rope turns neighbours."""

import numpy as np

from ..family import Family
from ..keys import COMMON, VOCABULARY, WHOLE_HEAD
from ..rules import Split, To, rows
from ..transforms import Step, neighbours
from .parts import EXPERTS, MLP, NEXT_TOKENS, NORMS, SHARED_EXPERTS


def unit_columns(x, wanted):
    """The output matrix of models whose `norm_head` is set, with columns of length 1."""
    return x / (np.sqrt((x.astype(np.float32) ** 2).sum(axis=0, keepdims=True)) + np.float32(1e-7)) if wanted else x


SHARED = NORMS | MLP | EXPERTS | SHARED_EXPERTS | {
    "word_embeddings": "token_embd",
    "norm": "output_norm",
    "layers.#.attention.dense": "attn_output",
}
FIRST = SHARED | {
    "lm_head": To("output", Step(unit_columns, None, values=True)(lambda c: bool(c.get("norm_head")))),
    "layers.#.attention.query_key_value": Split("attn_q attn_k attn_v", rows("q_rows", "kv_rows", "kv_rows"),
                                                (neighbours("heads"),), (neighbours("kv_heads"),), ()),
}
SECOND = SHARED | NEXT_TOKENS | {
    "lm_head": "output",
    "layers.#.attention.query_key_value": "attn_qkv",
    "layers.#.attention.query_layernorm": "attn_q_norm",
    "layers.#.attention.key_layernorm": "attn_k_norm",
    "layers.#.mlp.gate.expert_bias": "exp_probs_b.bias",
    "layers.#.final_layernorm": "layer_output_norm",
}
EXPERT_KEYS = {
    ".leading_dense_block_count": "first_k_dense_replace",
    ".expert_feed_forward_length": "moe_intermediate_size",
    ".expert_shared_count": "num_shared_experts",
    ".expert_weights_norm": "norm_topk_prob",
}
KEYS1 = COMMON | VOCABULARY | WHOLE_HEAD | EXPERT_KEYS | {".expert_weights_scale": 1.0}
KEYS2 = COMMON | VOCABULARY | EXPERT_KEYS | {
    ".block_count": lambda c: c.layers + c.get("num_nextn_predict_layers", default=0),
    ".nextn_predict_layers": "num_nextn_predict_layers",
    ".rope.dimension_count": lambda c: c.rope_dim(0.5),
    ".expert_weights_scale": "routed_scaling_factor",
    ".expert_shared_feed_forward_length": lambda c: (
        c.get("moe_shared_expert_intermediate_size") or c.need("moe_intermediate_size") * c.need("num_shared_experts")),
}

FAMILIES = (
    Family("bailingmoe", "BailingMoeForCausalLM", FIRST, KEYS1, model_type="bailing_moe"),
    Family("bailingmoe2", "BailingMoeV2ForCausalLM", SECOND, KEYS2, model_type="bailing_moe_v2"),
)
