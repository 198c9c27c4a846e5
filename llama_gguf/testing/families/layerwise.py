"""Decoders whose layers read embeddings of their own, and some of them others' keys: Gemma 3n and 4."""

from ...gguf.values import Typed
from ..shapes import Family
from .parts import EXPERTS, GATED, HEAD_NORMS, SANDWICH, experts

ALTUP = (
    "altup_correct_scale altup_correct_coef:streams,streams altup_predict_coef:streams*streams,streams "
    "altup_router:streams,width altup_router_norm laurel_l:rank,width laurel_r:width,rank laurel_post_norm"
)
PER_LAYER = "inp_gate:per_layer,width proj:width,per_layer post_norm"
ENDS = "per_layer_token_embd:tokens,layers*per_layer per_layer_model_proj:layers*per_layer,width " \
       "per_layer_proj_norm:per_layer"
STREAMS = "altup_proj:others,width,width altup_unembd_proj:others,width,width"
ROUTED = "ffn_gate_inp ffn_gate_inp.scale! ffn_down_exps.scale! ffn_gate_up_exps:experts,2*expert_ff,width " \
         "ffn_down_exps post_ffw_norm_1 pre_ffw_norm_2 post_ffw_norm_2"
SHARP = {"attn_q_norm": lambda size: size**-0.5}  # nothing else keeps scores small
SIZES = {"layers": 6, "width": 32, "window": 8, "sharing": 2, "per_layer": 8}


def is_local(i):
    return i % 2 == 0


def keys(s):
    pattern = Typed([is_local(i) for i in range(s.layers)], "bool")
    return {
        ".attention.sliding_window": s.window, ".attention.sliding_window_pattern": pattern,
        ".attention.shared_kv_layers": s.sharing, ".embedding_length_per_layer_input": s.per_layer,
        ".rope.freq_base_swa": 1000.0, ".final_logit_softcapping": 5.0,
    }


def keys3n(s):
    closed = Typed([1.28 if i < 2 else float("-inf") for i in range(s.layers)], "f32")
    return keys(s) | {
        ".altup.num_inputs": s.streams, ".altup.active_idx": s.active, ".activation_sparsity_scale": closed,
    }


def keys4(s):
    narrow = {f".{key}_swa": s.narrow for key in ("attention.key_length", "attention.value_length")}
    more = {".expert_feed_forward_length": s.expert_ff} if s.experts else {}
    return keys(s) | narrow | {".rope.dimension_count_swa": s.narrow} | experts(s) | more


def block4(i, s):
    """Narrow heads in local layers; in others no matrix for values. The last layers have neither keys nor values."""
    dim = "narrow" if is_local(i) else "head_dim"
    attention = f"attn_q:heads*{dim},width attn_output:width,heads*{dim} attn_q_norm:{dim}"
    if i < s.layers - s.sharing:
        attention += f" attn_k:kv_heads*{dim},width attn_k_norm:{dim}"
        attention += f" attn_v:kv_heads*{dim},width" if is_local(i) else ""
    around = f"attn_norm {attention} post_attention_norm ffn_norm {GATED} post_ffw_norm layer_output_scale:1"
    return f"{around} {PER_LAYER if s.per_layer else ''} {ROUTED if s.experts else ''}"


LAYERWISE = {
    "gemma3n": Family(
        f"{SANDWICH} {HEAD_NORMS} {PER_LAYER} {ALTUP}", f"output_norm {ENDS} {STREAMS}", tied=True, keys=keys3n,
        factors=SHARP, sizes=SIZES | {"streams": 4, "active": 0, "others": lambda s: s.streams - 1, "rank": 8},
    ),
    "gemma4": Family(
        block4, lambda s: f"output_norm rope_freqs:turning {ENDS if s.per_layer else ''}", tied=True, keys=keys4,
        factors=SHARP, sizes=SIZES | EXPERTS | {
            "experts": 0, "narrow": lambda s: s.head_dim // 2, "turning": lambda s: s.rope_dim // 2,
        },
    ),
}
