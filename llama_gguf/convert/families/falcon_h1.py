"""Falcon H1: attention and Mamba 2 side by side in each layer; its many multipliers are folded into the weights."""

import numpy as np

from ..family import Family
from ..keys import ROPE, VOCABULARY
from ..rules import To
from ..transforms import Step, grouped, scaled
from .mamba import KEYS2, MIXER2


def one(name, i=None):
    """A multiplier of config.json, 1 where it is missing."""
    return lambda c: c.get(name, default=1.0) if i is None else c.get(name, default=[1.0] * (i + 1))[i]


def key_factor(c):
    return c.get("key_multiplier", default=1.0)


def _by_block(x, factor, blocks, inner, state):
    """Rows for z, x, B, C and dt have a factor each."""
    sizes = (inner, inner, state, state, len(x) - 2 * inner - 2 * state)
    return x * np.float32(factor) * np.repeat(np.array(blocks, np.float32), sizes)[:, None]


def _undo_block(x, factor, blocks, inner, state):
    sizes = (inner, inner, state, state, len(x) - 2 * inner - 2 * state)
    return x / np.float32(factor) / np.repeat(np.array(blocks, np.float32), sizes)[:, None]


by_block = Step(_by_block, _undo_block, values=True)
IN = by_block(one("ssm_in_multiplier"), lambda c: tuple(c.get("ssm_multipliers", default=[1.0] * 5)), "mamba_d_ssm",
              lambda c: c.need("mamba_n_groups") * c.need("mamba_d_state"))
MIXER = {name.replace("mixer", "mamba"): rule for name, rule in MIXER2.items() if "mixer" in name}
TENSORS = MIXER | {
    "layers.#.input_layernorm": "attn_norm",
    "embed_tokens": To("token_embd", scaled(one("embedding_multiplier"))),
    "final_layernorm": "output_norm",
    "lm_head": To("output", scaled(one("lm_head_multiplier"))),
    "layers.#.pre_ff_layernorm.weight": "ffn_norm",  # files in circulation have no suffix here
    "layers.#.self_attn.q_proj": To("attn_q", scaled(one("attention_in_multiplier"))),
    "layers.#.self_attn.k_proj": To("attn_k", scaled(key_factor), scaled(one("attention_in_multiplier"))),
    "layers.#.self_attn.v_proj": To("attn_v", scaled(one("attention_in_multiplier"))),
    "layers.#.self_attn.o_proj": To("attn_output", scaled(one("attention_out_multiplier"))),
    "layers.#.mamba.in_proj": To("ssm_in", IN),
    "layers.#.mamba.norm": To("ssm_norm", grouped("ssm_groups")),
    "layers.#.mamba.out_proj": To("ssm_out", scaled(one("ssm_out_multiplier"))),
    "layers.#.feed_forward.gate_proj": To("ffn_gate", scaled(one("mlp_multipliers", 0))),
    "layers.#.feed_forward.up_proj": "ffn_up",
    "layers.#.feed_forward.down_proj": To("ffn_down", scaled(one("mlp_multipliers", 1))),
}
KEYS = KEYS2 | VOCABULARY | {
    ".context_length": "max_position_embeddings",
    ".feed_forward_length": "intermediate_size",
    ".attention.head_count": "num_attention_heads",
    ".attention.head_count_kv": "num_key_value_heads",
    ".attention.key_length": lambda c: c.head_dim,
    ".attention.value_length": lambda c: c.head_dim,
    ".rope.freq_base": ROPE[".rope.freq_base"],
    ".ssm.conv_kernel": "mamba_d_conv",
    ".ssm.state_size": "mamba_d_state",
}

FAMILIES = (Family("falcon-h1", "FalconH1ForCausalLM", TENSORS, KEYS, model_type="falcon_h1", export=None),)
