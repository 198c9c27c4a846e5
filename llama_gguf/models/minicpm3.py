"""MiniCPM 3: latent attention as in DeepSeek V2, in MiniCPM's blocks, whose scales no key states (arXiv 2404.06395).

Embeddings are multiplied by 12, branches by 1.4 / sqrt(layers), what becomes logits by 256 / width: as in the one model
that there is.
"""

from ..nn import gated_mlp, latent_attention, output, rms_norm, silu

NAMES = ("minicpm3",)


def hparams(meta):
    layers, rotated = meta.int(".block_count", lo=1), meta.int(".rope.dimension_count", lo=2)
    return {
        "rope": "neox",
        "rank": meta.int(".attention.kv_lora_rank", lo=1, hi=1024),
        "key_dim": meta.int(".attention.key_length", lo=rotated + 1, hi=1024),
        "residual_scale": 1.4 / layers**0.5,
    }


def embed(w, x, h):
    return x * 12


def block(w, x, h, layer):
    x = x + latent_attention(w, rms_norm(x, w.attn_norm), h, layer) * h.residual_scale
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu) * h.residual_scale


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm) * (256 / h.width))
