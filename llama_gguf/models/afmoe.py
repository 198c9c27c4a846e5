"""Trinity (AFMoE): norms before and after each branch, attention whose output is gated, DeepSeek-V3's choice of experts
(arcee-ai/Trinity-Nano-Preview, 2025).

Three local layers, which turn positions, to each that sees all, which does not. Embeddings are scaled by the root of
the width. The first layers are dense.
"""

from ..hparams import windows
from ..nn import attention, moe_or_mlp, output, rms_norm, sigmoid

NAMES = ("afmoe",)


def hparams(meta):
    return {"rope": "neox", "windows": windows(meta, 4), "experts": {"gating": "sigmoid", "norm": False}}


def embed(w, x, h):
    return x * h.width**0.5


def block(w, x, h, layer):
    y, window = rms_norm(x, w.attn_norm), h.windows[layer]
    turn, gate = h.rope if (layer + 1) % 4 else None, sigmoid(w.attn_gate @ y)
    z = attention(w, y, h, layer, turn=turn, window=window, within=lambda z: z * gate)
    x = x + rms_norm(z, w.post_attention_norm)
    return x + rms_norm(moe_or_mlp(w, rms_norm(x, w.ffn_norm), h), w.post_ffw_norm)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
