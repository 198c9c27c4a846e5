"""Refact: as Llama, with ALiBi instead of rotary positions; query heads share one key head."""

from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("refact",)
MOST = 8.0  # the exponent of ALiBi's largest slope, which no key states


def hparams(meta):
    return {"rope": None}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, alibi=MOST)
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
