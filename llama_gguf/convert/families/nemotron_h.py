"""Nemotron H, dense and with experts: each layer is one of Mamba 2, attention or a feed-forward network."""

from ..family import Family
from ..keys import COMMON, EXPERTS, VOCABULARY
from ..rules import To
from ..transforms import neighbours
from .mamba import MIXER2

BODY = MIXER2 | {
    "layers.#.mixer.q_proj": To("attn_q", neighbours("heads")),  # nothing turns here; so llama.cpp's files have them
    "layers.#.mixer.k_proj": To("attn_k", neighbours("kv_heads")),
    "layers.#.mixer.v_proj": "attn_v",
    "layers.#.mixer.o_proj": "attn_output",
    "layers.#.mixer.up_proj": "ffn_up",
    "layers.#.mixer.down_proj": "ffn_down",
}
MIXTURE = BODY | {
    "layers.#.mixer.gate": "ffn_gate_inp",
    "layers.#.mixer.gate.e_score_correction_bias": "exp_probs_b.bias",
    "layers.#.mixer.experts.*.up_proj": "ffn_up_exps",
    "layers.#.mixer.experts.*.down_proj": "ffn_down_exps",
    "layers.#.mixer.experts.up_proj": "ffn_up_exps.weight",
    "layers.#.mixer.experts.down_proj": "ffn_down_exps.weight",
    "layers.#.mixer.shared_experts.up_proj": "ffn_up_shexp",
    "layers.#.mixer.shared_experts.down_proj": "ffn_down_shexp",
    "layers.#.mixer.fc1_latent_proj": "ffn_latent_down",
    "layers.#.mixer.fc2_latent_proj": "ffn_latent_up",
}
LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
WORDS = {"linear_attention": "mamba", "full_attention": "attention"}


def kinds(c):
    """What each layer is: mamba, attention, mlp or moe."""
    pattern = c.need("hybrid_override_pattern", "layers_block_type")
    if isinstance(pattern, str):
        return [LETTERS.get(letter, letter) for letter in pattern]
    return [WORDS.get(word, word) for word in pattern]


def layers(c):
    return len(kinds(c))


def only(kind, value):
    """A list with a number for the layers of one kind, and 0 for the others."""
    return lambda c: [value(c) if here == kind else 0 for here in kinds(c)]


KEYS = COMMON | VOCABULARY | {
    ".block_count": layers,
    ".context_length": 1 << 20,
    ".attention.head_count_kv": only("attention", lambda c: c.kv_heads),
    ".attention.key_length": "head_dim attention_head_dim",
    ".attention.value_length": "head_dim attention_head_dim",
    ".feed_forward_length": only("mlp", lambda c: c.need("intermediate_size")),
    ".ssm.conv_kernel": "conv_kernel mamba_d_conv",
    ".ssm.state_size": "ssm_state_size state_size",
    ".ssm.group_count": "n_groups mamba_n_groups",
    ".ssm.inner_size": lambda c: c.need("mamba_num_heads") * c.need("mamba_head_dim"),
    ".ssm.time_step_rank": "mamba_num_heads",
    ".rope.dimension_count": lambda c: c.width // c.heads,
    ".rope.scaling.finetuned": False,
}
MOE_KEYS = KEYS | {
    ".feed_forward_length": only("moe", lambda c: c.need("moe_intermediate_size")),
    ".expert_count": "n_routed_experts",
    ".expert_used_count": "num_experts_per_tok",
    ".expert_feed_forward_length": "moe_intermediate_size",
    ".expert_shared_feed_forward_length": "moe_shared_expert_intermediate_size",
    ".expert_shared_count": "n_shared_experts",
    ".expert_weights_norm": "norm_topk_prob",
    ".expert_weights_scale": "routed_scaling_factor",
    ".expert_group_count": "n_group",
    ".moe_latent_size": "moe_latent_size",
}
SHARED = dict(model_type="nemotron_h", root="backbone.", ignored=("mtp",))


def which(c):
    if "num_experts_per_tok" in c.text and "moe" in kinds(c):
        return Family("nemotron_h_moe", "", MIXTURE, MOE_KEYS, **SHARED)
    return Family("nemotron_h", "", BODY, KEYS | dict.fromkeys(EXPERTS), **SHARED)


CHOICES = {"NemotronHForCausalLM": which}
