"""Nemotron-H: each layer is one thing only, a Mamba-2 scan, attention without positions, or a feed-forward network.

Which, the file tells by layer: by its key heads, and by the width of its network (arXiv 2504.03624). Nemotron 3 has
experts without gates in place of the network (arXiv 2512.20848).
"""

from ..hparams import state_space
from ..nn import attention, mamba2, mlp, moe, output, relu_squared, rms_norm

NAMES = ("nemotron_h", "nemotron_h_moe")


def hparams(meta):
    experts = {"gating": "sigmoid", "biased": True, "shared": "plain"} if meta.arch == "nemotron_h_moe" else None
    return state_space(meta) | {"recurrent": True, "experts": experts}


def block(w, x, h, layer):
    y = rms_norm(x, w.attn_norm)
    if h.ff:
        return x + (moe(w, y, h, relu_squared, gated=False) if "ffn_gate_inp" in w else mlp(w, y, relu_squared))
    return x + (attention(w, y, h, layer) if h.kv_heads else mamba2(w, y, h))


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
