"""ModernBERT: pre-norm blocks with rotary positions; of each three layers the first sees all (arXiv 2412.13663).

The other layers see half a window to either side and turn positions with a base of their own. The first layer has no
norm: embeddings are normed already.
"""

from dataclasses import replace

from ..hparams import windows
from ..nn import attention, gated_mlp, gelu, gelu_erf, layer_norm, silu

NAMES, ENCODER = ("modern-bert",), True
ACTS = {"gelu": gelu_erf, "gelu_pytorch_tanh": gelu, "silu": silu}


def hparams(meta):
    if meta.bool(".attention.causal", False):
        raise meta.error(".attention.causal", "is true, but ModernBERT looks both ways")
    means = meta.int(".classifier.pooling_type", 1, lo=1, hi=2)
    return {
        "rope": "neox",
        "windows": windows(meta, 3, first=True),
        "local_base": meta.float(".rope.freq_base_swa", 10000.0, above=1.0),
        "act": ACTS[meta.str(".hidden_activation", "gelu", choices=ACTS)],
        "ranked_by": "mean" if means == 1 else "cls",
    }


def embed(w, x, h):
    return layer_norm(x, w.token_embd_norm)


def block(w, x, h, layer):
    y = layer_norm(x, w.attn_norm) if layer or "attn_norm" in w else x
    window = h.windows[layer]
    turn = replace(h.rope, base=h.local_base) if window else h.rope
    x = x + attention(w, y, h, layer, window=window, turn=turn, causal=False)
    return x + gated_mlp(w, layer_norm(x, w.ffn_norm), h.act)


def head(w, x, h):
    return layer_norm(x, w.output_norm)


def rank(w, x, h):
    """Scores of a text's vector, or None without a head."""
    if "cls.output" not in w:
        return None
    return getattr(w, "cls.output") @ layer_norm(gelu_erf(w.cls @ x), getattr(w, "cls.norm"))
