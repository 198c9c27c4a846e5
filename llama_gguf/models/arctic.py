"""Arctic: a dense network after attention, and experts that read what enters the layer, beside both (Snowflake, 2024).

Weights of experts add up to 1.
"""

from ..nn import attention, gated_mlp, moe, output, rms_norm, silu

NAMES = ("arctic",)


def hparams(meta):
    return {"rope": "norm", "experts": {"gating": "softmax", "norm": True}}


def block(w, x, h, layer):
    y = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return y + gated_mlp(w, rms_norm(y, w.ffn_norm), silu) + moe(w, rms_norm(x, w.ffn_norm_exps), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
