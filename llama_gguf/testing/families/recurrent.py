"""Families with layers that remember a state instead of keys and values."""

from ...gguf.values import Typed
from ..shapes import Family
from .parts import ATTENTION, EXPERTS, GATED, HEAD_NORMS, MIXTURE, PARTIAL, PLAIN, SHARED, experts, mixture_keys, scales

MAMBA = "ssm_in:2*inner,width ssm_conv1d+:inner,taps ssm_x ssm_dt+ ssm_a!:inner,state ssm_d!:inner ssm_out"
NORMED_MAMBA = f"{MAMBA} ssm_dt_norm ssm_b_norm ssm_c_norm"
MAMBA2 = (
    "ssm_in:2*inner+2*groups*state+rank,width ssm_conv1d+:inner+2*groups*state,taps ssm_dt.bias! ssm_a! ssm_d! "
    "ssm_norm:groups,group ssm_out"
)
DELTA = (
    "attn_qkv:2*groups*state+inner,width attn_gate ssm_conv1d:2*groups*state+inner,taps ssm_dt.bias! ssm_a!:rank "
    "ssm_beta ssm_alpha ssm_norm:state ssm_out"
)
GATED_ATTENTION = f"attn_q:2*queries,width attn_k attn_v attn_output {HEAD_NORMS}"
UNGATED = "ffn_gate_inp ffn_up_exps ffn_down_exps exp_probs_b.bias! ffn_up_shexp ffn_down_shexp"
SHORT_CONV = "shortconv.conv shortconv.in_proj shortconv.out_proj"

STATES = {"state": 16, "rank": 4, "groups": 2, "taps": 4, "inner": lambda s: 2 * s.width}
STATES2 = STATES | {"group": lambda s: s.inner // s.groups}
LFM2 = {"layers": 4, "every": 2, "taps": 3}
QWEN = STATES | PARTIAL | {"layers": 4, "every": 2, "inner": lambda s: s.rank * s.state}
NO_HEADS = {
    ".attention.head_count": 0, ".attention.head_count_kv": None, ".feed_forward_length": 0,
    ".attention.key_length": None, ".attention.value_length": None,
}


def attends(i, s):
    return i % s.every == s.every - 1


def kv_heads(s, attends=attends):
    """Key heads of each layer: none where it does not attend."""
    each = [s.kv_heads * attends(i, s) for i in range(s.layers)]
    return {".attention.head_count_kv": Typed(each, "i32")}


def state_keys(s):
    return {
        ".ssm.conv_kernel": s.taps, ".ssm.inner_size": s.inner, ".ssm.state_size": s.state,
        ".ssm.time_step_rank": s.rank, ".ssm.group_count": s.groups,
    }


def shared_width(s):
    return mixture_keys(s) | ({".expert_shared_feed_forward_length": s.shared_ff} if s.experts else {})


def lfm2(i, s, network):
    return f"attn_norm {f'{ATTENTION} {HEAD_NORMS}' if attends(i, s) else SHORT_CONV} ffn_norm {network}"


def lfm2_keys(s):
    return kv_heads(s) | {".shortconv.l_cache": s.taps}


def qwen(i, s, network):
    return f"attn_norm {GATED_ATTENTION if attends(i, s) else DELTA} post_attention_norm {network}"


def qwen_keys(s):
    sections = Typed([2, 1, 1, 0], "i32")
    return state_keys(s) | {".full_attention_interval": s.every, ".rope.dimension_sections": sections}


def nemotron(i, network):
    """A layer is one thing only: a scan, attention, a network, a scan ..."""
    return f"attn_norm {(MAMBA2, ATTENTION, network)[i % 3]}"


def nemotron_keys(s):
    ff = Typed([s.ff * (i % 3 == 2) for i in range(s.layers)], "i32")
    own = {".feed_forward_length": ff, ".attention.layer_norm_epsilon": s.eps}
    return state_keys(s) | kv_heads(s, lambda i, s: i % 3 == 1) | own


RECURRENT = {
    "mamba": Family(
        f"attn_norm {MAMBA}", tied=True, rope=False, sizes=STATES,
        keys=lambda s: state_keys(s) | NO_HEADS | {".ssm.group_count": None},
    ),
    "mamba2": Family(
        f"attn_norm {MAMBA2}", tied=True, rope=False, keys=lambda s: state_keys(s) | NO_HEADS, sizes=STATES2
    ),
    "falcon-h1": Family(f"attn_norm {MAMBA2} {ATTENTION} ffn_norm! {GATED}", keys=state_keys, sizes=STATES2),
    "granitehybrid": Family(
        lambda i, s: f"attn_norm {ATTENTION if attends(i, s) else MAMBA2} ffn_norm "
        + (f"{MIXTURE} {SHARED}" if s.experts else GATED),
        tied=True, sizes=STATES2 | EXPERTS | {"layers": 3, "every": 2, "experts": 0, "shared_ff": 40},
        keys=lambda s: state_keys(s) | kv_heads(s) | scales(s) | shared_width(s) | {".rope.scaling.finetuned": True},
    ),
    "jamba": Family(
        lambda i, s: f"attn_norm {ATTENTION if attends(i, s) else NORMED_MAMBA} ffn_norm "
        + (MIXTURE if s.experts and i % 2 else GATED),
        tied=True, rope=False, sizes=STATES | EXPERTS | {"every": 2},
        keys=lambda s: state_keys(s) | kv_heads(s) | experts(s) | {".ssm.group_count": None},
    ),
    "lfm2": Family(
        lambda i, s: lfm2(i, s, GATED), "token_embd_norm", tied=True, keys=lfm2_keys, sizes=LFM2
    ),
    "lfm2moe": Family(
        lambda i, s: lfm2(i, s, GATED if i < s.dense else f"{MIXTURE} exp_probs_b.bias!"), "token_embd_norm", tied=True,
        keys=lambda s: lfm2_keys(s) | mixture_keys(s) | {
            ".leading_dense_block_count": s.dense, ".expert_gating_func": 2,
        },
        sizes=LFM2 | EXPERTS | {"dense": 1},
    ),
    "nemotron_h": Family(
        lambda i, s: nemotron(i, PLAIN), rope=False, keys=nemotron_keys, sizes=STATES2 | {"layers": 4}
    ),
    "nemotron_h_moe": Family(
        lambda i, s: nemotron(i, UNGATED), rope=False, sizes=STATES2 | EXPERTS | {"layers": 4, "shared_ff": 40},
        keys=lambda s: nemotron_keys(s) | shared_width(s) | {
            ".expert_shared_count": 1, ".expert_weights_norm": True, ".expert_weights_scale": 1.5,
        },
    ),
    "qwen35": Family(lambda i, s: qwen(i, s, GATED), keys=qwen_keys, sizes=QWEN),
    "qwen35moe": Family(
        lambda i, s: qwen(i, s, f"{MIXTURE} {SHARED} ffn_gate_inp_shexp:width"),
        keys=lambda s: qwen_keys(s) | shared_width(s), sizes=QWEN | EXPERTS | {"shared_ff": 40},
    ),
}
