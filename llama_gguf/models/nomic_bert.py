"""Nomic Embed 1 to 2 and Jina Embeddings 3: BERT with rotary positions (arXiv 2402.01613, 2502.07972, 2409.10173).

The first two have SwiGLU, version 2 experts in every other layer: plain ones, whose weights do not add up to 1. Jina's
adapters for each task are files of their own.
"""

from ..nn import attention, first_row, gated_mlp, gelu_erf, layer_norm, mlp, moe, silu

NAMES, ENCODER = ("nomic-bert", "nomic-bert-moe", "jina-bert-v3"), True
BIASES = "token_embd_norm attn_output_norm layer_output_norm"


def hparams(meta):
    if meta.bool(".attention.causal", False):
        raise meta.error(".attention.causal", f"is true, but {meta.arch} looks both ways")
    experts = {"gating": "softmax", "norm": False} if meta.arch == "nomic-bert-moe" else None
    return {"rope": "neox", "experts": experts}


def embed(w, x, h):
    return layer_norm(first_row(x, w.token_types) if "token_types" in w else x, w.token_embd_norm)


def network(w, x, h):
    if h.arch == "nomic-bert":
        return gated_mlp(w, x, silu)
    return moe(w, x, h, gelu_erf, gated=False) if "ffn_gate_inp" in w else mlp(w, x, gelu_erf)


def block(w, x, h, layer):
    x = layer_norm(x + attention(w, x, h, layer, causal=False), w.attn_output_norm)
    return layer_norm(x + network(w, x, h), w.layer_output_norm)


def head(w, x, h):
    return x
