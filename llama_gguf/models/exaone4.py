"""EXAONE 4: norms behind the branches instead of before, each head of q and k normed (arXiv 2507.11407).

The 32B has three local layers, which turn positions, to each that sees all, which does not; smaller ones see and turn
everywhere.
"""

from ..hparams import windows
from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("exaone4",)


def hparams(meta):
    large = meta.int(".block_count") - meta.int(".nextn_predict_layers", 0, lo=0) == 64
    return {"rope": "neox", "windows": windows(meta, 4, default=4096 if large else 0)}


def block(w, x, h, layer):
    window = h.windows[layer]
    turn = h.rope if window or not any(h.windows) else None
    x = x + rms_norm(attention(w, x, h, layer, turn=turn, window=window), w.post_attention_norm)
    return x + rms_norm(gated_mlp(w, x, silu), w.post_ffw_norm)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
