"""Granite 3 MoE: the block of Llama with a mixture of experts, and numbers that scale its parts (arXiv 2203.03466).

Embeddings are multiplied, what a branch adds is damped, logits are divided, and attention has a scale of its own.
"""

from ..nn import attention, moe_or_mlp, output, rms_norm

NAMES = ("granitemoe",)


def hparams(meta):
    return {
        "rope": "norm",
        "experts": {"gating": "softmax", "norm": True},
        "embedding_scale": meta.float(".embedding_scale", 1.0, above=0.0),
        "residual_scale": meta.float(".residual_scale", 1.0, above=0.0),
        "logit_scale": meta.float(".logit_scale", above=0.0),
    }


def embed(w, x, h):
    return x * h.embedding_scale


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer) * h.residual_scale
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h) * h.residual_scale


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm)) * (1 / h.logit_scale)
