"""PLM: latent attention as in DeepSeek V2, a plain MLP with squared ReLU (arXiv 2503.12167)."""

from ..nn import latent_attention, mlp, output, relu_squared, rms_norm

NAMES = ("plm",)


def hparams(meta):
    rotated = meta.int(".rope.dimension_count", lo=2)
    return {
        "rope": "norm",
        "rank": meta.int(".attention.kv_lora_rank", lo=1, hi=1024),
        "key_dim": meta.int(".attention.key_length", lo=rotated + 1, hi=1024),
    }


def block(w, x, h, layer):
    x = x + latent_attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + mlp(w, rms_norm(x, w.ffn_norm), relu_squared)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
