"""BERT and what is shaped like it (MiniLM, BGE, E5, RoBERTa): an encoder, each branch normed after it is added.

Every token sees every other; positions are learned. A file may end in a head that gives a text scores
(arXiv 1810.04805, 1908.10084).
"""

from ..nn import attention, first_row, gelu_erf, layer_norm, learned_positions, mlp, tanh

NAMES, ENCODER = ("bert",), True
BIASES = "token_embd_norm attn_output_norm layer_output_norm"


def hparams(meta):
    if meta.bool(".attention.causal", False):
        raise meta.error(".attention.causal", "is true, but BERT looks both ways")
    return {"rope": None, "ranked_by": "cls"}


def embed(w, x, h):
    x = first_row(x, w.token_types) if "token_types" in w else x
    return layer_norm(learned_positions(w, x), w.token_embd_norm)


def block(w, x, h, layer):
    x = layer_norm(x + attention(w, x, h, layer, turn=None, causal=False), w.attn_output_norm)
    return layer_norm(x + mlp(w, x, gelu_erf), w.layer_output_norm)


def head(w, x, h):
    return x


def rank(w, x, h):
    """Scores of a text's vector, or None without a head."""
    y = tanh(w.cls @ x) if "cls" in w else x
    return getattr(w, "cls.output") @ y if "cls.output" in w else y if "cls" in w else None
