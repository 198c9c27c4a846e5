"""Jamba: Mamba 1 with normed inner values, attention in one layer of eight, experts in every other."""

from ..family import Family
from ..keys import BLOCKS, EXPERTS
from .mamba import MIXER1
from .parts import ATTENTION

MIXER = {name.replace("mixer", "mamba"): rule for name, rule in MIXER1.items() if "mixer" in name}
TENSORS = ATTENTION | MIXER | {
    "embed_tokens": "token_embd",
    "final_layernorm": "output_norm",
    "lm_head": "output",
    "layers.#.input_layernorm": "attn_norm",
    "layers.#.pre_ff_layernorm": "ffn_norm",
    "layers.#.pre_moe_layernorm": "ffn_norm",
    "layers.#.mamba.dt_layernorm": "ssm_dt_norm",
    "layers.#.mamba.b_layernorm": "ssm_b_norm",
    "layers.#.mamba.c_layernorm": "ssm_c_norm",
    "layers.#.mamba.B_layernorm": "ssm_b_norm",
    "layers.#.mamba.C_layernorm": "ssm_c_norm",
    "layers.#.feed_forward.router": "ffn_gate_inp",
    "layers.#.feed_forward.gate_proj": "ffn_gate",
    "layers.#.feed_forward.up_proj": "ffn_up",
    "layers.#.feed_forward.down_proj": "ffn_down",
    "layers.#.feed_forward.experts.*.gate_proj": "ffn_gate_exps",
    "layers.#.feed_forward.experts.*.up_proj": "ffn_up_exps",
    "layers.#.feed_forward.experts.*.down_proj": "ffn_down_exps",
}


def renamed(name, c):
    """Older folders call the layers with one expert a mixture too."""
    name, parts = name.replace(".moe.", ".feed_forward."), name.split(".")
    layer = next((int(part) for part in parts if part.isdecimal()), None)
    if layer is None or ".experts.0." not in name:
        return name
    offset, every = c.get("expert_layer_offset", default=1), c.get("expert_layer_period", default=2)
    return name if layer >= offset and (layer - offset) % every == 0 else name.replace(".experts.0.", ".")


def kv_heads(c):
    offset, every = c.get("attn_layer_offset", default=4), c.get("attn_layer_period", default=8)
    return [c.kv_heads if i >= offset and (i - offset) % every == 0 else 0 for i in range(c.layers)]


KEYS = BLOCKS | {
    ".attention.head_count": "num_attention_heads",
    ".attention.head_count_kv": kv_heads,
    ".ssm.conv_kernel": "mamba_d_conv",
    ".ssm.inner_size": lambda c: c.get("mamba_expand", default=2) * c.width,
    ".ssm.state_size": "mamba_d_state",
    ".ssm.time_step_rank": lambda c: c.get("mamba_dt_rank", default=-(c.width // -16)),
    ".attention.layer_norm_rms_epsilon": "layer_norm_epsilon rms_norm_eps",
    ".expert_count": EXPERTS[".expert_count"],
    ".expert_used_count": EXPERTS[".expert_used_count"],
}

FAMILIES = (
    Family("jamba", "JambaForCausalLM", TENSORS, KEYS, model_type="jamba", vocabulary="sentencepiece llama bpe",
           renamed=renamed, export=None,
           tokens_anyway={"tokenizer.ggml.add_space_prefix": lambda c: False if c.vocabulary == "llama" else None},
           defaults=dict(max_position_embeddings=262144, rms_norm_eps=1e-6, num_key_value_heads=8, num_experts=16,
                         num_experts_per_tok=2, mamba_d_conv=4, mamba_d_state=16)),
)
