"""Families with layers that remember a state instead of keys and values."""

from ...gguf.values import Typed
from ..shapes import Family
from .parts import ATTENTION, GATED, HEAD_NORMS, PARTIAL, scales


def state_keys(s):
    return {
        ".ssm.conv_kernel": s.taps, ".ssm.inner_size": s.inner, ".ssm.state_size": s.state,
        ".ssm.time_step_rank": s.rank, ".ssm.group_count": s.groups,
    }


def own_kv_heads(s):
    """Key heads of each layer: none where it does not attend."""
    return {".attention.head_count_kv": Typed([s.kv_heads * attends(i, s) for i in range(s.layers)], "i32")}


def attends(i, s):
    return i % s.every == s.every - 1


NO_HEADS = {".attention.head_count": 0, ".attention.head_count_kv": None, ".feed_forward_length": 0,
            ".attention.key_length": None, ".attention.value_length": None}
STATES = {"state": 16, "rank": 4, "groups": 2, "taps": 4, "inner": lambda s: 2 * s.width}
MAMBA = "ssm_in:2*inner,width ssm_conv1d+:inner,taps ssm_x ssm_dt+ ssm_a:inner,state ssm_d:inner ssm_out"
MAMBA2 = (
    "ssm_in:2*inner+2*groups*state+rank,width ssm_conv1d+:inner+2*groups*state,taps ssm_dt.bias ssm_a:rank,1 "
    "ssm_d:rank,1 ssm_norm:groups,group ssm_out"
)
DELTA = (
    "attn_qkv:2*groups*state+inner,width attn_gate ssm_conv1d:2*groups*state+inner,taps ssm_dt.bias ssm_a:rank "
    "ssm_beta ssm_alpha ssm_norm:state ssm_out"
)
GATED_ATTENTION = f"attn_q:2*queries,width attn_k attn_v attn_output {HEAD_NORMS}"
SHORT_CONV = "shortconv.conv shortconv.in_proj shortconv.out_proj"

RECURRENT = {
    "mamba": Family(
        f"attn_norm {MAMBA}", tied=True, rope=False, sizes=STATES,
        keys=lambda s: state_keys(s) | NO_HEADS | {".ssm.group_count": None},
    ),
    "mamba2": Family(
        f"attn_norm {MAMBA2}", tied=True, rope=False, keys=lambda s: state_keys(s) | NO_HEADS,
        sizes=STATES | {"group": lambda s: s.inner // s.groups},
    ),
    "granitehybrid": Family(
        lambda i, s: f"attn_norm {ATTENTION if attends(i, s) else MAMBA2} ffn_norm {GATED}", tied=True,
        keys=lambda s: state_keys(s) | own_kv_heads(s) | scales(s) | {".rope.scaling.finetuned": True},
        sizes=STATES | {"layers": 3, "every": 2, "group": lambda s: s.inner // s.groups},
    ),
    "lfm2": Family(
        lambda i, s: f"attn_norm {f'{ATTENTION} {HEAD_NORMS}' if attends(i, s) else SHORT_CONV} ffn_norm {GATED}",
        "token_embd_norm", tied=True, keys=lambda s: own_kv_heads(s) | {".shortconv.l_cache": s.taps},
        sizes={"layers": 4, "every": 2, "taps": 3},
    ),
    "qwen35": Family(
        lambda i, s: f"attn_norm {GATED_ATTENTION if attends(i, s) else DELTA} post_attention_norm {GATED}",
        keys=lambda s: state_keys(s) | {
            ".full_attention_interval": s.every, ".rope.dimension_sections": Typed([2, 1, 1, 0], "i32"),
        },
        sizes=STATES | PARTIAL | {"layers": 4, "every": 2, "inner": lambda s: s.rank * s.state},
    ),
}
