"""Qwen 1 to 3, dense: as Llama, but rotary pairs stand half a head apart (arXiv 2309.16609, 2407.10671, 2505.09388).

Qwen 1 and 2 have biases on q, k and v, Qwen 3 norms them for each head instead; the file tells. A reranker of Qwen 3
ends in the rows of the output matrix that stand for yes and no.
"""

from ..nn import attention, gated_mlp, output, rms_norm, silu, softmax

NAMES = ("qwen", "qwen2", "qwen3")


def hparams(meta):
    return {"rope": "neox", "ranked_by": "last"}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))


def rank(w, x, h):
    """How likely each answer is after a text, by the vector of its last token; None without a head."""
    return softmax(w["cls.output"] @ x) if h.arch in ("qwen3", "qwen3vl") and "cls.output" in w else None
