"""Families that make vectors of texts; none has an output matrix."""

from ..shapes import Family
from .parts import EXPERTS, GATED, HEAD_NORMS, SAME_HEADS, SANDWICH, experts, window


def encoder(s):
    return {".attention.causal": False, ".pooling_type": 1}


def typed_encoder(s):
    return encoder(s) | {"tokenizer.ggml.token_type_count": 2}


UNGATED = "ffn_gate_inp ffn_up_exps ffn_down_exps"
BERT = "attn_q+ attn_k+ attn_v+ attn_output+ attn_output_norm+"
ENCODERS = {
    "bert": Family(
        f"{BERT} ffn_up+ ffn_down+ layer_output_norm+", "token_types position_embd token_embd_norm+", norm="layer",
        rope=False, tied=True, keys=typed_encoder, sizes=SAME_HEADS,
    ),
    "gemma-embedding": Family(
        f"{SANDWICH} {HEAD_NORMS}", tied=True, sizes={"head_dim": 32, "rope_base": 1e6, "window": 16},
        keys=lambda s: encoder(s) | window(s) | {".attention.sliding_window_pattern": 2},
    ),
    "jina-bert-v2": Family(
        f"{BERT} ffn_gate ffn_up ffn_down+ layer_output_norm+", "token_types token_embd_norm+", norm="layer",
        rope=False, tied=True, keys=typed_encoder, sizes=SAME_HEADS,
    ),
    "modern-bert": Family(
        lambda i, s: ("attn_norm " if i else "") + "attn_qkv attn_output ffn_norm ffn_up:2*ff,width ffn_down",
        "token_embd_norm output_norm", norm="layer", tied=True, sizes=SAME_HEADS | {"layers": 4, "window": 16},
        keys=lambda s: encoder(s) | window(s) | {
            "general.name": "tiny", ".attention.sliding_window_pattern": 3, ".rope.freq_base_swa": 1000.0,
        },
    ),
    "nomic-bert-moe": Family(
        lambda i, s: f"attn_qkv+ attn_output+ attn_output_norm+ {UNGATED if i % 2 else 'ffn_up+ ffn_down+'} "
        "layer_output_norm+", "token_types token_embd_norm+", norm="layer", tied=True, sizes=SAME_HEADS | EXPERTS,
        keys=lambda s: typed_encoder(s) | experts(s) | {".moe_every_n_layers": 2},
    ),
    "jina-bert-v3": Family(
        "attn_qkv+ attn_output+ attn_output_norm+ ffn_up+ ffn_down+ layer_output_norm+", "token_types token_embd_norm+",
        norm="layer", tied=True, keys=typed_encoder, sizes=SAME_HEADS,
    ),
    "nomic-bert": Family(
        f"attn_qkv attn_output attn_output_norm+ {GATED} layer_output_norm+", "token_types token_embd_norm+",
        norm="layer", tied=True, keys=typed_encoder, sizes=SAME_HEADS,
    ),
}
