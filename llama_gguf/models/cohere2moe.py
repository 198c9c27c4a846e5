"""Cohere 2 with experts: attention and the network side by side from one norm; a shared expert is averaged with the
others, which are chosen by their sigmoids.

The first of four layers sees all and does not turn positions, but for the dense layers, which all come first and turn.
The norm is an RMS norm where the file has an epsilon for that.
"""

from ..hparams import windows
from ..nn import attention, layer_norm, moe_or_mlp, output, rms_norm

NAMES = ("cohere2moe",)


def hparams(meta):
    return {
        "rope": "norm",
        "windows": windows(meta, 4, first=True),
        "dense": meta.int(".leading_dense_block_count", lo=0),
        "rms": meta.float(".attention.layer_norm_rms_epsilon", 0.0) > 0,
        "logit_scale": meta.float(".logit_scale", lo=0.0) or 1.0,
        "experts": {"gating": "sigmoid", "norm": False},
    }


def norm(x, w, h):
    return rms_norm(x, w) if h.rms else layer_norm(x, w)


def block(w, x, h, layer):
    y, window = norm(x, w.attn_norm, h), h.windows[layer]
    turn = h.rope if window or layer < h.dense else None
    made = moe_or_mlp(w, y, h) * (0.5 if "ffn_up_shexp" in w else 1)
    return x + attention(w, y, h, layer, turn=turn, window=window) + made


def head(w, x, h):
    return output(w, norm(x, w.output_norm, h)) * h.logit_scale
