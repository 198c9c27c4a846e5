"""Mamba-2: a layer is one scan whose channels stand in heads, each with a single rate of decay (arXiv 2405.21060)."""

from ..hparams import state_space
from ..nn import mamba2, output, rms_norm

NAMES = ("mamba2",)


def hparams(meta):
    return state_space(meta) | {"recurrent": True}


def block(w, x, h, layer):
    return x + mamba2(w, rms_norm(x, w.attn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
