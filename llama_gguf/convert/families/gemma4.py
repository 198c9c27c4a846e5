"""Gemma 3n and 4, their text parts: norms are stored as they are, layers are local or not by their own list."""

from statistics import NormalDist

import numpy as np

from ...gguf import Typed
from ..family import Family
from ..keys import COMMON, scaling_type
from ..rules import To
from ..transforms import as_many_rows, ones_unless
from .parts import ATTENTION, MLP, QK_NORMS, SANDWICH


def scaled(c):
    """Is the stream that is active multiplied before the layer's own numbers are added? A file always does."""
    return c.get("altup_correct_scale", default=True)


PER_LAYER = {
    "embed_tokens_per_layer": To("per_layer_token_embd", as_many_rows("n_tokens")),
    "per_layer_model_projection": "per_layer_model_proj",
    "per_layer_projection_norm": "per_layer_proj_norm",
    "layers.#.per_layer_input_gate": "inp_gate",
    "layers.#.per_layer_projection": "proj",
    "layers.#.post_per_layer_input_norm": "post_norm",
}
BODY = ATTENTION | QK_NORMS | SANDWICH | MLP | PER_LAYER | {"norm": "output_norm", "lm_head": None}
ALTUP = {
    "embed_tokens": To("token_embd", as_many_rows("n_tokens")),
    "altup_projections.*": "altup_proj",
    "altup_unembed_projections.*": "altup_unembd_proj",
    "layers.#.altup.correct_output_scale": To("altup_correct_scale.weight", ones_unless(scaled)),
    "layers.#.altup.correction_coefs": "altup_correct_coef",
    "layers.#.altup.prediction_coefs": "altup_predict_coef",
    "layers.#.altup.modality_router": "altup_router",
    "layers.#.altup.router_norm": "altup_router_norm",
    "layers.#.laurel.linear_left": "laurel_l",
    "layers.#.laurel.linear_right": "laurel_r",
    "layers.#.laurel.post_laurel_norm": "laurel_post_norm",
}
EXPERTS = {
    "embed_tokens": "token_embd",
    "layers.#.layer_scalar": "layer_output_scale.weight",
    "layers.#.router.proj": "ffn_gate_inp",
    "layers.#.router.scale": "ffn_gate_inp.scale",
    "layers.#.router.per_expert_scale": "ffn_down_exps.scale",
    "layers.#.experts.gate_up_proj": "ffn_gate_up_exps.weight",
    "layers.#.experts.down_proj": "ffn_down_exps.weight",
    "layers.#.post_feedforward_layernorm_1": "post_ffw_norm_1",
    "layers.#.pre_feedforward_layernorm_2": "pre_ffw_norm_2",
    "layers.#.post_feedforward_layernorm_2": "post_ffw_norm_2",
}


def local(every):
    """Which layers are local, as a function of the Config: as `layer_types` says, else all but each `every`-th."""
    def pattern(c):
        kinds = c.get("layer_types") or ["" if (i + 1) % every == 0 else "sliding_attention" for i in range(c.layers)]
        if len(kinds) != c.layers:
            raise c.error(f"layer_types has {len(kinds)} entries for {c.layers} layers")
        return [kind == "sliding_attention" for kind in kinds]

    return pattern


def deviations(c):
    """How far above the mean a gate must be for so many to be shut, in standard deviations."""
    given = c.get("activation_sparsity_pattern")
    shares = given or [0.95] * 10 * (c.layers > 10) + [0.0] * (c.layers - 10 * (c.layers > 10))
    if len(shares) != c.layers or not all(0 <= share < 1 for share in shares):
        raise c.error(f"activation_sparsity_pattern must hold {c.layers} shares below 1")
    return Typed([quantile(np.float32(share)) for share in shares], "f32")


def quantile(share):
    """Of the normal distribution, rounded where torch rounds: behind the inverse error function, and at the end."""
    if not share:
        return float("-inf")
    root = np.float32(2**0.5)
    return float(np.float32(NormalDist().inv_cdf(share) / 2**0.5) * root)


def whole(name, narrow=None):
    """`name` of the layers that see all, which config.json states in one of two ways; None: `narrow` of it."""
    key = {"global_head_dim": "head_dim", "num_global_key_value_heads": "num_key_value_heads"}[name]

    def find(c):
        stated = c.get("per_layer_config", default={}).values()
        given = next((layer[key] for layer in stated if layer.get(key)), None)
        return c.get(name) or given or (narrow and c.get(narrow))

    return find


def key_heads(c):
    wide, narrow = whole("num_global_key_value_heads")(c), c.get("num_key_value_heads")
    return narrow if wide is None else [narrow if here else wide for here in local(6)(c)]


def network(c):
    """Twice as wide in layers that read others' keys, if config.json says so."""
    width, shared = c.get("intermediate_size"), c.get("num_kv_shared_layers", default=0)
    if not c.get("use_double_wide_mlp"):
        return width
    return [width] * (c.layers - shared) + [2 * width] * shared


def turned(c):
    return int(c.need("head_dim") * c.rope.get("sliding_attention", {}).get("partial_rotary_factor", 1.0))


def proportional(c):
    """`rope_freqs`: 1 for the pairs that turn, and for the others so much that they stand still."""
    pairs = whole("global_head_dim", "head_dim")(c) // 2
    turning = int(2 * pairs * c.main_rope.get("partial_rotary_factor", 1.0) / 2)
    return {"rope_freqs.weight": np.array([1.0] * turning + [1e30] * (pairs - turning), np.float32)}


def scaling(c):
    """None: what is proportional is in `rope_freqs`."""
    return None if c.rope_type == "proportional" else scaling_type(c)


KEYS = COMMON | {
    ".final_logit_softcapping": "final_logit_softcapping",
    ".attention.sliding_window": "sliding_window",
    ".attention.shared_kv_layers": "num_kv_shared_layers",
    ".rope.scaling.type": scaling,
}
KEYS3N = KEYS | {
    ".attention.sliding_window_pattern": local(5),
    ".embedding_length_per_layer_input": "hidden_size_per_layer_input",
    ".altup.active_idx": "altup_active_idx",
    ".altup.num_inputs": "altup_num_inputs",
    ".activation_sparsity_scale": deviations,
}
KEYS4 = KEYS | {
    ".attention.sliding_window_pattern": local(6),
    ".feed_forward_length": network,
    ".embedding_length_per_layer_input": lambda c: c.get("hidden_size_per_layer_input") or 0,
    ".attention.head_count_kv": key_heads,
    ".attention.key_length": whole("global_head_dim", "head_dim"),
    ".attention.value_length": whole("global_head_dim", "head_dim"),
    ".attention.key_length_swa": "head_dim",
    ".attention.value_length_swa": "head_dim",
    ".rope.dimension_count": whole("global_head_dim", "head_dim"),
    ".rope.dimension_count_swa": turned,
    ".expert_feed_forward_length": "moe_intermediate_size",
}
NO_SPACE = {"tokenizer.ggml.add_space_prefix": lambda c: None if c.vocabulary == "bpe" else False}
DEFAULTS = dict(rms_norm_eps=1e-6, head_dim=256, sliding_window=512, num_attention_heads=8)
BASES = dict(full_attention=dict(rope_type="default", rope_theta=1e6),
             sliding_attention=dict(rope_type="default", rope_theta=10000.0))
BASES4 = BASES | dict(full_attention=dict(rope_type="proportional", partial_rotary_factor=0.25, rope_theta=1e6))
NOT_TEXT = ("embed_vision", "embed_audio")

FAMILIES = (
    Family("gemma3n", "Gemma3nForCausalLM Gemma3nForConditionalGeneration", BODY | ALTUP, KEYS3N,
           model_type="gemma3n_text", vocabulary="sentencepiece bpe", tokens_anyway=NO_SPACE, ignored=NOT_TEXT,
           export=None,
           defaults=DEFAULTS | dict(max_position_embeddings=32768, num_key_value_heads=2, final_logit_softcapping=30.0,
                                    hidden_size_per_layer_input=256, altup_active_idx=0, altup_num_inputs=4,
                                    num_kv_shared_layers=15, intermediate_size=16384, rope_parameters=BASES)),
    Family("gemma4", "Gemma4ForCausalLM Gemma4ForConditionalGeneration Gemma4UnifiedForConditionalGeneration",
           BODY | EXPERTS, KEYS4, model_type="gemma4_text", vocabulary="gemma4", extra=proportional, ignored=NOT_TEXT,
           export=None,
           defaults=DEFAULTS | dict(max_position_embeddings=131072, num_key_value_heads=4, num_kv_shared_layers=0,
                                    hidden_size_per_layer_input=256, rope_parameters=BASES4)),
)
