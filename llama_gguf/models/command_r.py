"""Command R and Cohere 2: attention and SwiGLU side by side from one layer norm without bias; scaled logits.

Command R+ norms each head of q and k by gains of its own. Cohere 2 has three local layers, which turn positions, to
each that sees all, which does not.
"""

from ..hparams import windows
from ..nn import attention, gated_mlp, layer_norm, output, silu

NAMES = ("command-r", "cohere2")


def hparams(meta):
    local = meta.arch == "cohere2"
    return {
        "rope": "norm",
        "windows": windows(meta, 4) if local else (0,) * meta.int(".block_count"),
        "only_local_turn": local,
        "logit_scale": meta.float(".logit_scale", 0.0, lo=0.0) or 1.0,
    }


def block(w, x, h, layer):
    y, window = layer_norm(x, w.attn_norm), h.windows[layer]
    turn = h.rope if window or not h.only_local_turn else None
    return x + attention(w, y, h, layer, norm=layer_norm, turn=turn, window=window) + gated_mlp(w, y, silu)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm)) * h.logit_scale
