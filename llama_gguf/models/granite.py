"""Granite 3 and MiniCPM: as Llama, with embeddings, branches and logits scaled by constants (arXiv 2404.06395)."""

from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("granite", "minicpm")


def hparams(meta):
    """Old files of MiniCPM do not state its scales; llama.cpp takes the inverse of this one of logits for such files,
    transformers does not. Granite may go without positions.
    """
    old = meta.arch == "minicpm"
    scales = (12.0, 1.4 / meta.int(".block_count") ** 0.5, meta.int(".embedding_length") / 256) if old else (0.0,) * 3
    names = "embedding_scale", "residual_scale", "logit_scale"
    found = {n: meta.float(f".{n}", default, lo=0.0) or 1.0 for n, default in zip(names, scales, strict=True)}
    return {"rope": "norm" if old or meta.bool(".rope.scaling.finetuned", True) else None, **found}


def embed(w, x, h):
    return x * h.embedding_scale


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer) * h.residual_scale
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu) * h.residual_scale


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm)) * (1 / h.logit_scale)
