"""Seed-OSS: as Qwen 2; the norm before the MLP is called post_attention_norm."""

from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("seed_oss",)


def hparams(meta):
    return {"rope": "neox"}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + gated_mlp(w, rms_norm(x, w.post_attention_norm), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
