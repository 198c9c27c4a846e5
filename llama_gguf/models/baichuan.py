"""Baichuan 1 and 2: as Llama; no key of the file says how positions enter, only its size (arXiv 2309.10305).

The 7B, of 32 layers, turns them; the 13B, of 40, has ALiBi. No other size was published; llama.cpp takes such files to
have no positions at all, and so does this.
"""

from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("baichuan",)
MOST = 8.0  # the exponent of ALiBi's largest slope, which no key states


def hparams(meta):
    layers = meta.int(".block_count")
    return {"rope": "norm" if layers == 32 else None, "alibi": MOST if layers == 40 else 0.0}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, alibi=h.alibi)
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
