"""Granite 4: Mamba-2 layers with a few of attention between them, each followed by a network or a mixture of such.

Layers without key heads are the recurrent ones. As in Granite, embeddings, branches, scores and logits are scaled
by numbers of the file; whether attention turns positions at all, says `rope.scaling.finetuned`.
"""

from ..hparams import state_space
from ..nn import attention, mamba2, moe_or_mlp, output, rms_norm

NAMES = ("granitehybrid",)


def hparams(meta):
    return state_space(meta) | {
        "rope": "norm" if meta.bool(".rope.scaling.finetuned", True) else None,
        "recurrent": True,
        "experts": {"gating": "softmax", "norm": True},
        "embedding_scale": meta.float(".embedding_scale", 0.0) or 1.0,
        "residual_scale": meta.float(".residual_scale", 0.0) or 1.0,
        "logit_scale": meta.float(".logit_scale", 0.0) or 1.0,
    }


def embed(w, x, h):
    return x * h.embedding_scale


def block(w, x, h, layer):
    y = rms_norm(x, w.attn_norm)
    x = x + (attention(w, y, h, layer) if h.kv_heads else mamba2(w, y, h)) * h.residual_scale
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h) * h.residual_scale


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm)) * (1 / h.logit_scale)
