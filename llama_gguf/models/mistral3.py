"""Mistral 3 and Ministral 3: as Llama; queries grow a little with each length of the original context."""

from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("mistral3",)


def hparams(meta):
    length = meta.int(".attention.temperature_length", 0, lo=0)
    if length and length != meta.int(".rope.scaling.original_context_length", meta.int(".context_length")):
        raise meta.error(".attention.temperature_length", f"is {length}, and not the original context as in all models")
    return {"rope": "norm", "temper_scale": meta.float(".attention.temperature_scale", 0.0)}


def block(w, x, h, layer):
    temper_by = (h.temper_scale, h.rope.original_context) if h.temper_scale else None
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, temper_by=temper_by)
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
