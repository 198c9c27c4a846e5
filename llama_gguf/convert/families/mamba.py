"""Mamba 1 and 2, FalconMamba: state spaces without attention.

GGUF stores A itself, not its logarithm, and in Mamba 2 as a column; the norm inside a layer by groups.
"""

from ..family import Family
from ..rules import To
from ..transforms import column, grouped, minus_exp, squeezed

BODY = {
    "embeddings": "token_embd",
    "embedding": "token_embd",
    "norm_f": "output_norm",
    "lm_head": "output",
    "layers.#.norm": "attn_norm",
}
MIXER1 = BODY | {
    "layers.#.mixer.in_proj": "ssm_in",
    "layers.#.mixer.conv1d.weight": To("ssm_conv1d.weight", squeezed),
    "layers.#.mixer.conv1d.bias": "ssm_conv1d.bias",
    "layers.#.mixer.x_proj": "ssm_x",
    "layers.#.mixer.dt_proj": "ssm_dt",
    "layers.#.mixer.A_log": To("ssm_a", minus_exp),
    "layers.#.mixer.D": "ssm_d",
    "layers.#.mixer.out_proj": "ssm_out",
}
MIXER2 = BODY | {
    "layers.#.mixer.in_proj": "ssm_in",
    "layers.#.mixer.conv1d.weight": To("ssm_conv1d.weight", squeezed),
    "layers.#.mixer.conv1d.bias": "ssm_conv1d.bias",
    "layers.#.mixer.dt_bias": "ssm_dt.bias",
    "layers.#.mixer.A_log": To("ssm_a", column, minus_exp),
    "layers.#.mixer.D": To("ssm_d", column),
    "layers.#.mixer.norm.weight": To("ssm_norm.weight", grouped("ssm_groups")),
    "layers.#.mixer.out_proj": "ssm_out",
}


def inner(c):
    return c.get("mamba_d_ssm", "intermediate_size", "d_inner", default=c.get("expand", default=2) * c.width)


WITHOUT_ATTENTION = {
    ".context_length": 1 << 20,  # there is no limit
    ".embedding_length": lambda c: c.width,
    ".feed_forward_length": 0,
    ".attention.head_count": 0,
    ".block_count": lambda c: c.layers,
    ".ssm.conv_kernel": lambda c: c.get("conv_kernel", "d_conv", default=4),
    ".ssm.inner_size": inner,
    ".attention.layer_norm_rms_epsilon": lambda c: c.get("layer_norm_epsilon", "rms_norm_eps", default=1e-5),
}
KEYS1 = WITHOUT_ATTENTION | {
    ".ssm.state_size": lambda c: c.get("state_size", "d_state", default=16),
    ".ssm.time_step_rank": lambda c: c.get("time_step_rank", "dt_rank", default=-(c.width // -16)),
    ".ssm.dt_b_c_rms": lambda c: c.get("model_type") == "falcon_mamba",
}
KEYS2 = WITHOUT_ATTENTION | {
    ".ssm.state_size": lambda c: c.get("state_size", "d_state", default=128),
    ".ssm.time_step_rank": lambda c: inner(c) // c.get("mamba_d_head", "head_dim", default=64),
    ".ssm.group_count": lambda c: c.ssm_groups,
}
EXPORT = dict(intermediate_size=lambda s: s[".ssm.inner_size"])
VOCABULARY = dict(vocabulary="bpe sentencepiece", root="backbone.")

FAMILIES = (
    Family("mamba", "MambaForCausalLM MambaLMHeadModel FalconMambaForCausalLM", MIXER1, KEYS1, model_type="mamba",
           export=EXPORT | dict(model_type=lambda s: "falcon_mamba" if s[".ssm.dt_b_c_rms"] else "mamba"),
           **VOCABULARY),
    Family("mamba2", "Mamba2ForCausalLM", MIXER2, KEYS2, model_type="mamba2",
           export=EXPORT | dict(head_dim=lambda s: s[".ssm.inner_size"] // s[".ssm.time_step_rank"]), **VOCABULARY),
)
