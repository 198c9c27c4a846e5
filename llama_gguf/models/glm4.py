"""GLM 4: norms before and after each branch, gate and up in one matrix, half of each head turns (arXiv 2406.12793).

Files that can take pictures turn pairs half apart, in sections that are all the same for a text.
"""

from ..nn import attention, gated_mlp, output, rms_norm, silu
from ..rope import sections

NAMES = ("glm4",)


def hparams(meta):
    return {"rope": "neox" if sections(meta) else "norm"}


def block(w, x, h, layer):
    x = x + rms_norm(attention(w, rms_norm(x, w.attn_norm), h, layer), w.post_attention_norm)
    return x + rms_norm(gated_mlp(w, rms_norm(x, w.ffn_norm), silu), w.post_ffw_norm)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
