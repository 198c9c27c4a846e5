"""Granite 3 and MiniCPM: as Llama, with embeddings, branches and logits scaled by constants (arXiv 2404.06395).

Granite may have experts, whose weights add up to 1, and a shared one.
"""

from ..nn import attention, moe_or_mlp, output, rms_norm

NAMES = ("granite", "granitemoe", "minicpm")


def hparams(meta):
    """Old files of MiniCPM do not state its scales; llama.cpp takes the inverse of this one of logits for such files,
    transformers does not. Granite may go without positions.
    """
    old = meta.arch == "minicpm"
    layers, width = meta.int(".block_count", lo=1), meta.int(".embedding_length", lo=1)
    scales = (12.0, 1.4 / layers**0.5, width / 256) if old else (0.0,) * 3
    names = "embedding_scale", "residual_scale", "logit_scale"
    found = {n: meta.float(f".{n}", default, lo=0.0) or 1.0 for n, default in zip(names, scales, strict=True)}
    turns = old or meta.bool(".rope.scaling.finetuned", True)
    return {"rope": "norm" if turns else None, "experts": {"gating": "softmax", "norm": True}, **found}


def embed(w, x, h):
    return x * h.embedding_scale


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer) * h.residual_scale
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h) * h.residual_scale


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm)) * (1 / h.logit_scale)
