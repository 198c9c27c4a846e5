"""Families that few download, or that are others but for a name."""

from ...gguf.values import Typed
from ..shapes import Family
from .mixtures import BALANCED, DENSE_FIRST, MIXTURES_OF_EXPERTS, MOE, first_dense, shared_keys
from .mixtures import LATENT as LATENT_V3
from .mixtures import latent_keys as latent_v3
from .parts import (
    ATTENTION,
    BIASED,
    EXPERTS,
    GATED,
    GPT,
    HEAD_NORMS,
    LLAMA,
    MIXTURE,
    PARTIAL,
    SAME_HEADS,
    SHARED,
    experts,
    mixture_keys,
    window,
)
from .recurrent import DELTA, GATED_ATTENTION, QWEN, attends, shared_width, state_keys

LATENT = "attn_kv_a_mqa attn_kv_a_norm attn_kv_b:heads*plain_dim+heads*value_dim,rank attn_output"
LATENT_SIZES = SAME_HEADS | {
    "rope_dim": 8, "q_rank": 32, "rank": 32, "head_dim": 24, "value_dim": 16, "key_dim": lambda s: s.head_dim,
    "plain_dim": lambda s: s.key_dim - s.rope_dim,
}
NEXT = DELTA.replace("ssm_beta ssm_alpha", "ssm_ba:2*rank,width").replace("ssm_norm:state", "ssm_norm:value")


def sections(s):
    """Pairs that turn with time, height and width, nearly as many of each."""
    pairs = s.head_dim // 2
    return {".rope.dimension_sections": Typed([pairs - pairs // 3 * 2, pairs // 3, pairs // 3, 0], "i32")}


def latent_keys(s):
    return {".attention.kv_lora_rank": s.rank}


def deci(i, s):
    """Layers with a product in the place of attention, with attention, without, and without anything."""
    attention = ("attn_norm attn_output:width,width", f"attn_norm {ATTENTION}", "", "")[i % 4]
    return attention + (f" ffn_norm {GATED}" if i % 4 != 3 else "")


def deci_keys(s):
    layers = range(s.layers)
    each = {
        ".attention.head_count": [s.heads * (i % 4 < 2) for i in layers],
        ".attention.head_count_kv": [s.kv_heads * (i % 4 == 1) for i in layers],
        ".feed_forward_length": [s.ff * (i % 4 != 3) for i in layers],
    }
    return {key: Typed(numbers, "i32") for key, numbers in each.items()}


def openelm_keys(s):
    """Layers grow: more heads and wider networks."""
    kv = [1 + i for i in range(s.layers)]
    each = {
        ".attention.head_count": [2 * n for n in kv], ".attention.head_count_kv": kv,
        ".feed_forward_length": [s.ff * n for n in kv],
    }
    return {key: Typed(numbers, "i32") for key, numbers in each.items()}


def openelm(i, s):
    n = i + 1
    network = f"ffn_gate:{n}*ff,width ffn_up:{n}*ff,width ffn_down:width,{n}*ff"
    attention = f"attn_qkv:{4 * n}*head_dim,width attn_output:width,{2 * n}*head_dim {HEAD_NORMS}"
    return f"attn_norm {attention} ffn_norm {network}"


def tempered_keys(s):
    grows = {".attention.temperature_scale": 0.3, ".attention.temperature_length": s.original}
    return latent_v3(s) | grows | {".expert_gating_func": 1}


MORE = {
    "arctic": Family(
        f"attn_norm {ATTENTION} ffn_norm ffn_gate:width,width ffn_up:width,width ffn_down:width,width {MIXTURE} "
        "ffn_norm_exps", keys=experts, sizes=EXPERTS,
    ),
    "cohere2moe": Family(
        lambda i, s: f"attn_norm {ATTENTION} " + (GATED if i < s.dense else f"{MIXTURE} {SHARED}"), norm="layer",
        tied=True, keys=lambda s: shared_keys(s) | window(s) | {".logit_scale": 0.25},
        sizes=DENSE_FIRST | {"layers": 5, "window": 8},
    ),
    "hy_v3": Family(
        first_dense(f"{ATTENTION} {HEAD_NORMS}", f"{MIXTURE} exp_probs_b! {SHARED}"),
        keys=lambda s: shared_keys(s) | {".expert_shared_feed_forward_length": s.shared_ff}, sizes=DENSE_FIRST,
    ),
    "jais2": Family(
        "attn_norm+ attn_q+ attn_k+ attn_v+ attn_output+ ffn_norm+ ffn_up+ ffn_down+", "output_norm+", norm="layer"
    ),
    "maincoder": Family(f"{LLAMA} {HEAD_NORMS}"),
    "mellum": Family(
        f"{MOE} {HEAD_NORMS}", keys=lambda s: mixture_keys(s) | window(s),
        sizes=EXPERTS | {"layers": 4, "window": 8, "head_dim": 32},
    ),
    "mistral4": Family(
        first_dense(LATENT_V3, f"{MIXTURE} {SHARED}"), keys=tempered_keys,
        sizes=MIXTURES_OF_EXPERTS["deepseek2"].sizes | {"original": 8, "groups": 1},
    ),
    "openelm": Family(openelm, tied=True, keys=openelm_keys, sizes={"head_dim": 16}),
    "paddleocr": Family(LLAMA, keys=sections),
    "afmoe": Family(
        first_dense(f"{ATTENTION} attn_gate:queries,width {HEAD_NORMS} post_attention_norm",
                    f"{BALANCED}", "post_ffw_norm ffn_norm"),
        keys=lambda s: shared_keys(s) | window(s), sizes=DENSE_FIRST | {"layers": 4, "window": 8},
    ),
    "bitnet": Family(f"{LLAMA} attn_sub_norm ffn_sub_norm", tied=True),
    "chatglm": Family(
        "attn_norm attn_qkv+ attn_output ffn_norm ffn_up:2*ff,width ffn_down", sizes=PARTIAL
    ),
    "codeshell": Family(GPT.replace("attn_qkv+", "attn_q+ attn_k+ attn_v+"), "output_norm+", norm="layer"),
    "dbrx": Family(
        f"attn_norm attn_qkv attn_output attn_output_norm {MIXTURE}", norm="layer", sizes=EXPERTS,
        keys=lambda s: experts(s) | {".attention.clamp_kqv": 1.0},
    ),
    "deci": Family(deci, keys=deci_keys, sizes={"layers": 4}),
    "exaone": Family(LLAMA),
    "exaone-moe": Family(
        first_dense(f"{ATTENTION} {HEAD_NORMS}", BALANCED),
        keys=lambda s: shared_keys(s) | window(s) | {".expert_shared_feed_forward_length": s.shared_ff},
        sizes=DENSE_FIRST | {"layers": 4, "window": 8},
    ),
    "jais": Family(
        f"{GPT} ffn_gate+", "output_norm+", norm="layer", rope=False, sizes=SAME_HEADS,
        keys=lambda s: {".attention.max_alibi_bias": 8.0},
    ),
    "minicpm3": Family(
        f"attn_norm attn_q_a attn_q_a_norm attn_q_b {LATENT} ffn_norm {GATED}", tied=True,
        keys=lambda s: latent_keys(s) | {".attention.q_lora_rank": s.q_rank}, sizes=LATENT_SIZES,
    ),
    "orion": Family(f"attn_norm+ {ATTENTION} ffn_norm+ {GATED}", "output_norm+", norm="layer"),
    "pangu-embedded": Family(LLAMA.replace(ATTENTION, f"{BIASED}+")),
    "phimoe": Family(
        f"attn_norm+ {BIASED}+ ffn_norm+ {MIXTURE}", "output_norm+", output="output+",
        keys=lambda s: experts(s) | (window(s) if s.window else {}), sizes=EXPERTS | {"window": 0},
    ),
    "plm": Family(
        f"attn_norm attn_q:heads*key_dim,width {LATENT} ffn_norm ffn_up ffn_down", tied=True, keys=latent_keys,
        sizes=LATENT_SIZES,
    ),
    "qwen2vl": Family(LLAMA.replace(ATTENTION, BIASED), keys=sections),
    "qwen3vl": Family(
        f"{LLAMA} {HEAD_NORMS}", keys=lambda s: sections(s) | {".n_deepstack_layers": 3}, sizes={"head_dim": 32}
    ),
    "qwen3vlmoe": Family(
        f"{MOE} {HEAD_NORMS}", keys=lambda s: mixture_keys(s) | sections(s), sizes=EXPERTS | {"head_dim": 32}
    ),
    "qwen3next": Family(
        lambda i, s: f"attn_norm {GATED_ATTENTION if attends(i, s) else NEXT} post_attention_norm {MIXTURE} {SHARED} "
        "ffn_gate_inp_shexp:width",
        keys=lambda s: state_keys(s) | shared_width(s) | {".full_attention_interval": s.every},
        sizes=QWEN | EXPERTS | {"shared_ff": 40, "value": lambda s: s.inner // s.rank},
    ),
    "refact": Family(LLAMA, rope=False, sizes={"kv_heads": 1}),
    "smallthinker": Family(
        MOE, keys=lambda s: mixture_keys(s) | window(s) | {".expert_gating_func": 2},
        sizes=EXPERTS | {"layers": 4, "window": 8},
    ),
}
