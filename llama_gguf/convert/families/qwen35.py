"""Qwen 3.5: three layers of linear attention (gated delta rule) to each full one, dense or with experts.

Values outnumber keys there. transformers keeps the value heads of one key together; GGUF takes one of each key in turn,
so that a repeated key meets its own. Norms are stored without their 1, but for the one inside linear attention.
"""

from ...gguf import Typed
from ..family import Family
from ..keys import COMMON
from ..rules import To
from ..transforms import minus_exp, squeezed, tiled, tiled_behind, tiled_columns
from .parts import ATTENTION, EXPERTS, MLP, NEXT_TOKENS, TOKENS, shifted
from .qwen_moe import SHARED_EXPERT

KEYS_AND_VALUES = ("linear_num_key_heads", "linear_num_value_heads")
BY_HEAD, BY_ONE = (*KEYS_AND_VALUES, "linear_value_head_dim"), (*KEYS_AND_VALUES, 1)
NORMS = {
    "norm": "output_norm",
    "layers.#.input_layernorm": "attn_norm",
    "layers.#.post_attention_layernorm": "post_attention_norm",
    "layers.#.self_attn.q_norm": "attn_q_norm",
    "layers.#.self_attn.k_norm": "attn_k_norm",
    "layers.#.shared_head.norm": "nextn.shared_head_norm",
    "layers.#.enorm": "nextn.enorm",
    "layers.#.hnorm": "nextn.hnorm",
}
LINEAR = {
    "layers.#.linear_attn.in_proj_qkv": To("attn_qkv", tiled_behind(*BY_HEAD, "linear_key_head_dim")),
    "layers.#.linear_attn.in_proj_z": To("attn_gate", tiled(*BY_HEAD)),
    "layers.#.linear_attn.in_proj_a": To("ssm_alpha", tiled(*BY_ONE)),
    "layers.#.linear_attn.in_proj_b": To("ssm_beta", tiled(*BY_ONE)),
    "layers.#.linear_attn.conv1d": To("ssm_conv1d", squeezed, tiled_behind(*BY_HEAD, "linear_key_head_dim")),
    "layers.#.linear_attn.A_log": To("ssm_a", tiled(*BY_ONE), minus_exp),
    "layers.#.linear_attn.dt_bias": To("ssm_dt.bias", tiled(*BY_ONE)),
    "layers.#.linear_attn.norm": "ssm_norm",
    "layers.#.linear_attn.out_proj": To("ssm_out", tiled_columns(*BY_HEAD)),
}
BODY = {k: v for k, v in (TOKENS | ATTENTION | MLP | NEXT_TOKENS).items() if k not in NORMS}
TENSORS = BODY | LINEAR | shifted(NORMS)


def blocks(c):
    return c.layers + c.get("mtp_num_hidden_layers", default=0)


def recurrent(c):
    kinds = c.get("layer_types")
    return kinds and [kind == "linear_attention" for kind in kinds] + [False] * (blocks(c) - c.layers)


def mtp_renamed(name, c):
    """The predictor of a second token is one more layer."""
    own = {"fc": "eh_proj", "pre_fc_norm_embedding": "enorm", "pre_fc_norm_hidden": "hnorm", "norm": "shared_head.norm"}
    parts = name.removeprefix("model.").split(".")
    if parts[0] != "mtp":
        return name
    if parts[1] == "layers":
        return ".".join(("model.layers", str(c.layers + int(parts[2])), *parts[3:]))
    return ".".join(("model.layers", str(c.layers), own.get(parts[1], parts[1]), *parts[2:]))


KEYS = COMMON | {
    ".block_count": blocks,
    ".nextn_predict_layers": lambda c: c.get("mtp_num_hidden_layers") or None,
    ".expert_feed_forward_length": "moe_intermediate_size",
    ".expert_shared_feed_forward_length": "shared_expert_intermediate_size",
    ".ssm.conv_kernel": "linear_conv_kernel_dim",
    ".ssm.state_size": "linear_key_head_dim",
    ".ssm.group_count": "linear_num_key_heads",
    ".ssm.time_step_rank": "linear_num_value_heads",
    ".ssm.inner_size": lambda c: c.need("linear_value_head_dim") * c.need("linear_num_value_heads"),
    ".attention.recurrent_layers": recurrent,
    ".full_attention_interval": lambda c: c.get("full_attention_interval", default=4),
    ".rope.dimension_count": lambda c: c.rope_dim(0.25),
    ".rope.dimension_sections": lambda c: Typed([*c.rope.get("mrope_section", (11, 11, 10)), 0, 0, 0][:4], "i32"),
}
EXPORT = dict(mtp_num_hidden_layers=lambda s: s.get(".nextn_predict_layers"),
              linear_value_head_dim=lambda s: s[".ssm.inner_size"] // s[".ssm.time_step_rank"],
              layer_types=lambda s: ["linear_attention" if here else "full_attention"
                                     for here in s.get(".attention.recurrent_layers", ())] or None)
DEFAULTS = dict(rope_theta=10000.0, partial_rotary_factor=0.25, rms_norm_eps=1e-6, max_position_embeddings=32768,
                head_dim=256, linear_conv_kernel_dim=4, linear_key_head_dim=128, linear_value_head_dim=128,
                linear_num_key_heads=16, linear_num_value_heads=32)

FAMILIES = (
    Family("qwen35", "Qwen3_5ForConditionalGeneration Qwen3_5ForCausalLM", TENSORS, KEYS, model_type="qwen3_5_text",
           vocabulary="sentencepiece bpe", defaults=DEFAULTS | dict(num_key_value_heads=4), renamed=mtp_renamed,
           export=EXPORT),
    Family("qwen35moe", "Qwen3_5MoeForConditionalGeneration Qwen3_5MoeForCausalLM", TENSORS | EXPERTS | SHARED_EXPERT,
           KEYS, model_type="qwen3_5_moe_text", renamed=mtp_renamed, export=EXPORT,
           defaults=DEFAULTS | dict(num_key_value_heads=2, moe_intermediate_size=512, num_experts=256,
                                    num_experts_per_tok=8, shared_expert_intermediate_size=512)),
)
