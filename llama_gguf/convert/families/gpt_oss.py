"""gpt-oss: a sink in each head, experts with biases whose gate and up rows alternate; usually in MXFP4 already."""

from ..family import Family
from ..keys import COMMON
from ..rules import Split, To, every_other, every_other_column, every_other_row
from ..transforms import transposed
from .parts import PLAIN

TENSORS = PLAIN | {
    "layers.#.post_attention_layernorm": "post_attention_norm",
    "layers.#.self_attn.sinks": "attn_sinks.weight",
    "layers.#.mlp.router": "ffn_gate_inp",
    "layers.#.mlp.experts.gate_up_proj": Split("ffn_gate_exps.weight ffn_up_exps.weight", every_other_column),
    "layers.#.mlp.experts.gate_up_proj_bias": Split("ffn_gate_exps.bias ffn_up_exps.bias", every_other),
    "layers.#.mlp.experts.down_proj": To("ffn_down_exps.weight", transposed),
    "layers.#.mlp.experts.down_proj_bias": "ffn_down_exps.bias",
    # MXFP4, after quantized.py paired blocks and scales: rows of whole blocks, not transposed
    "layers.#.mlp.experts.gate_up_proj_mxfp4": Split("ffn_gate_exps.weight ffn_up_exps.weight", every_other_row),
    "layers.#.mlp.experts.down_proj_mxfp4": "ffn_down_exps.weight",
}
KEYS = COMMON | {
    ".attention.sliding_window": "sliding_window",
    ".expert_feed_forward_length": "intermediate_size",
}

FAMILIES = (
    Family("gpt-oss", "GptOssForCausalLM", TENSORS, KEYS, model_type="gpt_oss", export={"rope_scaling.truncate": False},
           defaults=dict(rope_theta=150000.0, rms_norm_eps=1e-5, max_position_embeddings=131072, head_dim=64,
                         num_key_value_heads=8,
                         num_local_experts=128, num_experts_per_tok=4, sliding_window=128,
                         rope_parameters=dict(rope_type="yarn", factor=32.0, beta_fast=32.0, beta_slow=1.0,
                                              original_max_position_embeddings=4096))),
)
