"""Mamba: no attention and no feed-forward network, but one selective scan a layer (arXiv 2312.00752).

FalconMamba is the same with norms on what makes the step and on both projections of the state.
"""

from ..hparams import state_space
from ..nn import mamba, output, rms_norm

NAMES = ("mamba",)


def hparams(meta):
    return state_space(meta, groups=False) | {"recurrent": True, "normed": meta.bool(".ssm.dt_b_c_rms", False)}


def block(w, x, h, layer):
    return x + mamba(w, rms_norm(x, w.attn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
