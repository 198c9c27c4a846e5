"""Falcon-H1: attention and a Mamba-2 scan side by side in every layer, their outputs added (arXiv 2507.22448).

The multipliers of the family are in the files' weights already. The second norm is stored as ffn_norm, without suffix.
"""

from ..hparams import state_space
from ..nn import attention, gated_mlp, mamba2, output, rms_norm, silu

NAMES = ("falcon-h1",)


def hparams(meta):
    return state_space(meta) | {"rope": "neox"}


def block(w, x, h, layer):
    y = rms_norm(x, w.attn_norm)
    x = x + (attention(w, y, h, layer) + mamba2(w, y, h))
    return x + gated_mlp(w, rms_norm(x, w["ffn_norm"]), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
