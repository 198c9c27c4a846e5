"""Granite 3 and 4, dense, with experts, and with Mamba 2 in most layers; four factors scale what Llama does not.

A Granite 4 folder may have no state-space layer at all: then it is one of the others. Bamba is the hybrid too.
"""

from ..family import Family
from ..keys import COMMON, VOCABULARY
from ..rules import Split, row_halves
from .mamba import MIXER2
from .parts import TURNED, as_heads

MIXTURE = {
    "layers.#.block_sparse_moe.router.layer": "ffn_gate_inp",
    "layers.#.block_sparse_moe.input_linear": Split("ffn_gate_exps ffn_up_exps", row_halves),
    "layers.#.block_sparse_moe.output_linear": "ffn_down_exps",
    "layers.#.shared_mlp.input_linear": Split("ffn_gate_shexp ffn_up_shexp", row_halves),
    "layers.#.shared_mlp.output_linear": "ffn_down_shexp",
}
DENSE_MLP = {
    "layers.#.shared_mlp.input_linear": Split("ffn_gate ffn_up", row_halves),
    "layers.#.shared_mlp.output_linear": "ffn_down",
}
BAMBA_MLP = {
    "layers.#.feed_forward.gate_proj": "ffn_gate",
    "layers.#.feed_forward.up_proj": "ffn_up",
    "layers.#.feed_forward.down_proj": "ffn_down",
    "layers.#.pre_ff_layernorm": "ffn_norm",
    "final_layernorm": "output_norm",
}
MIXER = {name.replace("mixer", "mamba"): rule for name, rule in MIXER2.items() if "mixer" in name}
SCALES = {
    ".attention.scale": lambda c: c.get("attention_multiplier") or None,
    ".embedding_scale": lambda c: c.get("embedding_multiplier") or None,
    ".residual_scale": lambda c: c.get("residual_multiplier") or None,
    ".logit_scale": lambda c: c.get("logits_scaling") or None,
}
KEYS = COMMON | VOCABULARY | SCALES | {
    ".attention.key_length": None,
    ".attention.value_length": None,
    ".rope.dimension_count": lambda c: c.width // c.heads,
    ".expert_shared_feed_forward_length": lambda c: c.get("shared_intermediate_size") or None,
}


def has_attention(c):
    """For each layer, whether it is attention: by a list of kinds, of indices, or by a period."""
    kinds, every = c.get("layer_types"), c.get("attn_layer_period")
    if kinds:
        return [kind in ("attention", "full_attention") for kind in kinds]
    chosen = c.get("attn_layer_indices")
    if not chosen and not every:
        raise c.error("lacks layer_types, attn_layer_indices or attn_layer_period")
    chosen = chosen or [i for i in range(c.layers) if i % every == c.need("attn_layer_offset")]
    return [i in chosen for i in range(c.layers)]


def is_bamba(c):
    return "BambaForCausalLM" in c.classes


def turns(c):
    """Whether positions turn: next to state spaces they need not."""
    return is_bamba(c) or all(has_attention(c))


HYBRID_KEYS = KEYS | {
    ".context_length": lambda c: c.get("max_position_embeddings") if turns(c) else 1 << 20,
    ".attention.head_count_kv": lambda c: [c.kv_heads if here else 0 for here in has_attention(c)],
    ".ssm.conv_kernel": "mamba_d_conv",
    ".ssm.state_size": "mamba_d_state",
    ".ssm.group_count": "mamba_n_groups",
    ".ssm.inner_size": lambda c: c.need("mamba_n_heads") * c.need("mamba_d_head"),
    ".ssm.time_step_rank": "mamba_n_heads",
    ".rope.dimension_count": lambda c: c.get("attn_rotary_emb") or c.width // c.heads,
    ".rope.scaling.finetuned": turns,
}
SHARED = dict(vocabulary="sentencepiece llama bpe", model_type="granite", tokens_anyway={
    "tokenizer.ggml.add_space_prefix": lambda c: c.tokenizer.get("add_prefix_space"),
    "tokenizer.ggml.add_bos_token": lambda c: False if c.get("vocab_size") == 49152 else None})
DEFAULTS = dict(rope_theta=10000.0, rms_norm_eps=1e-6, max_position_embeddings=2048, num_key_value_heads=as_heads,
                embedding_multiplier=1.0, logits_scaling=1.0, residual_multiplier=1.0, attention_multiplier=1.0)
DENSE = Family("granite", "GraniteForCausalLM", TURNED, KEYS, defaults=DEFAULTS, **SHARED)
MOE = Family("granitemoe", "GraniteMoeForCausalLM GraniteMoeSharedForCausalLM", TURNED | MIXTURE, KEYS,
             defaults=DEFAULTS | dict(num_local_experts=8, num_experts_per_tok=2),
             **SHARED | {"model_type": "granitemoe"})


def which(c):
    """The family of a folder of class GraniteMoeHybrid or Bamba."""
    mlp = MIXTURE if c.get("num_local_experts") else DENSE_MLP
    if all(has_attention(c)):
        arch = "granitemoe" if c.get("num_experts_per_tok") else "granite"
        return Family(arch, "", TURNED | mlp, HYBRID_KEYS, defaults=DEFAULTS, **SHARED)
    return Family("granitehybrid", "", TURNED | MIXER | (BAMBA_MLP if is_bamba(c) else mlp), HYBRID_KEYS,
                  defaults={} if is_bamba(c) else DEFAULTS, **SHARED | {"vocabulary": "sentencepiece bpe"})


FAMILIES = (DENSE, MOE)
CHOICES = {"GraniteMoeHybridForCausalLM": which, "BambaForCausalLM": which}
