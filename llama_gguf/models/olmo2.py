"""OLMo 2 and 3: norms behind the branches instead of before, queries and keys normed as whole vectors
(arXiv 2501.00656).

OLMo 3 has three local layers to each that sees all; only those that see all stretch their positions.
"""

from dataclasses import replace

from ..hparams import windows
from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("olmo2",)


def hparams(meta):
    return {"rope": "neox", "windows": windows(meta, 4)}


def block(w, x, h, layer):
    window = h.windows[layer]
    turn = replace(h.rope, scaling="none", attention_factor=1.0) if window else h.rope
    x = x + rms_norm(attention(w, x, h, layer, turn=turn, window=window), w.post_attention_norm)
    return x + rms_norm(gated_mlp(w, x, silu), w.post_ffw_norm)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
