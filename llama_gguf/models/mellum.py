"""Mellum 2: Qwen 3's experts, and local layers between those that see all; only the latter stretch their positions
(JetBrains, 2026).
"""

from dataclasses import replace

from ..hparams import windows
from ..nn import attention, moe, output, rms_norm

NAMES = ("mellum",)


def hparams(meta):
    return {"rope": "neox", "windows": windows(meta, 4), "experts": {"gating": "softmax", "norm": True}}


def block(w, x, h, layer):
    window = h.windows[layer]
    turn = replace(h.rope, scaling="none", attention_factor=1.0) if window else h.rope
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, turn=turn, window=window)
    return x + moe(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
