"""LFM 2, dense and with experts: short convolutions in most layers, attention in some."""

from ..family import Family
from ..keys import COMMON, VOCABULARY
from ..rules import To
from ..transforms import squeezed
from .parts import QKV

TENSORS = QKV | {
    "embed_tokens": "token_embd",
    "embedding_norm": "token_embd_norm",
    "lm_head": "output",
    "layers.#.operator_norm": "attn_norm",
    "layers.#.ffn_norm": "ffn_norm",
    "layers.#.self_attn.out_proj": "attn_output",
    "layers.#.self_attn.q_layernorm": "attn_q_norm",
    "layers.#.self_attn.k_layernorm": "attn_k_norm",
    "layers.#.conv.conv.weight": To("shortconv.conv.weight", squeezed),
    "layers.#.conv.in_proj": "shortconv.in_proj",
    "layers.#.conv.out_proj": "shortconv.out_proj",
    "layers.#.feed_forward.w1": "ffn_gate",
    "layers.#.feed_forward.w2": "ffn_down",
    "layers.#.feed_forward.w3": "ffn_up",
}
MIXTURE = TENSORS | {
    "layers.#.feed_forward.gate": "ffn_gate_inp",
    "layers.#.feed_forward.expert_bias": "exp_probs_b.bias",
    "layers.#.feed_forward.experts.*.w1": "ffn_gate_exps",
    "layers.#.feed_forward.experts.*.w2": "ffn_down_exps",
    "layers.#.feed_forward.experts.*.w3": "ffn_up_exps",
}


def kv_heads(c):
    kinds = c.get("layer_types")
    if not kinds:
        attends = c.get("full_attn_idxs", default=range(c.layers))
        kinds = ["full_attention" if i in attends else "conv" for i in range(c.layers)]
    return [0 if kind == "conv" else c.kv_heads for kind in kinds]


def ff(c):
    """The width of the feed-forward network, in the original's way of counting."""
    width, each = c.need("block_ff_dim", "intermediate_size"), c.get("block_multiple_of", default=256)
    if not c.get("block_auto_adjust_ff_dim", default=True):
        return width
    width = int(c.get("block_ffn_dim_multiplier", default=1.0) * int(2 * width / 3))
    return -(-width // each) * each


KEYS = COMMON | VOCABULARY | {
    ".attention.head_count_kv": kv_heads,
    ".shortconv.l_cache": "conv_L_cache",
    ".attention.layer_norm_rms_epsilon": "norm_eps",
}
MOE_KEYS = KEYS | {
    ".expert_feed_forward_length": "moe_intermediate_size",
    ".leading_dense_block_count": "num_dense_layers",
    ".expert_gating_func": 2,
}
def layer_types(stated):
    return ["full_attention" if n else "conv" for n in stated[".attention.head_count_kv"]]


EXPORT = dict(layer_types=layer_types, num_key_value_heads=lambda s: max(s[".attention.head_count_kv"]),
              block_auto_adjust_ff_dim=False)
DEFAULTS = dict(rope_theta=1e6, norm_eps=1e-5, max_position_embeddings=128000, num_key_value_heads=8, conv_L_cache=3)

FAMILIES = (
    Family("lfm2", "Lfm2ForCausalLM LFM2ForCausalLM", TENSORS, KEYS | {".feed_forward_length": ff}, model_type="lfm2",
           defaults=DEFAULTS, export=EXPORT),
    Family("lfm2moe", "Lfm2MoeForCausalLM", MIXTURE, MOE_KEYS, model_type="lfm2_moe",
           export=EXPORT, defaults=DEFAULTS | dict(moe_intermediate_size=1792, num_dense_layers=2, num_experts=32,
                                    num_experts_per_tok=4)),
)
