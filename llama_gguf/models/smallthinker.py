"""SmallThinker: experts are chosen before attention, by what enters the layer, so that they can be fetched meanwhile
(arXiv 2507.20984).

Experts are gated by ReLU; their weights add up to 1. Where a file has windows, the first of four layers sees all and
does not turn positions; else all do.
"""

from ..hparams import windows
from ..nn import attention, moe, output, relu, rms_norm

NAMES = ("smallthinker",)


def hparams(meta):
    return {"rope": "neox", "windows": windows(meta, 4, first=True), "experts": {"gating": "softmax", "norm": True}}


def block(w, x, h, layer):
    window = h.windows[layer]
    turn = h.rope if window or not any(h.windows) else None
    y = x + attention(w, rms_norm(x, w.attn_norm), h, layer, turn=turn, window=window)
    return y + moe(w, rms_norm(y, w.ffn_norm), h, relu, chosen_by=x)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
