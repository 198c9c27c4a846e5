"""K-EXAONE: each head of q and k normed, DeepSeek-V3's choice of experts, a shared one (LG AI Research, 2025).

Three local layers, which turn positions, to each that sees all, which does not. The first layers are dense; blocks
behind the last predict several tokens at once and are passed over.
"""

from ..hparams import windows
from ..nn import attention, moe_or_mlp, output, rms_norm

NAMES = ("exaone-moe",)


def hparams(meta):
    experts = {"gating": "sigmoid", "norm": False, "shared": "plain"}
    return {"rope": "neox", "windows": windows(meta, 4), "experts": experts}


def block(w, x, h, layer):
    window = h.windows[layer]
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, turn=h.rope if window else None, window=window)
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
