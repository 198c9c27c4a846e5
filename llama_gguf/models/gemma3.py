"""Gemma 3: norms before and after each branch, five local layers to each global one, GELU-gated (arXiv 2503.19786).

Embeddings are scaled by the root of the width; queries and keys are normed for each head; local layers see a window and
turn positions with a base of their own, without scaling. The "+ 1" of Gemma's norms is in the file's weights.
"""

from dataclasses import replace

from ..hparams import windows
from ..nn import attention, gated_mlp, gelu, output, rms_norm, softcap

NAMES = ("gemma3",)


def hparams(meta):
    return {
        "rope": "neox",
        "windows": windows(meta, 6),
        "local_base": meta.float(".rope.freq_base_swa", 10000.0, above=1.0),
        "logit_cap": meta.float(".final_logit_softcapping", 0.0, lo=0.0),
        "shared_scale": meta.int(".block_count") == 62,  # the 27B: by width / heads, not by head
    }


def embed(w, x, h):
    return x * h.width**0.5


def block(w, x, h, layer):
    window = h.windows[layer]
    turn = replace(h.rope, base=h.local_base, scaling="none") if window else h.rope
    scale = (h.width / h.heads) ** -0.5 if h.shared_scale else None
    a = attention(w, rms_norm(x, w.attn_norm), h, layer, window=window, turn=turn, scale=scale)
    x = x + rms_norm(a, w.post_attention_norm)
    return x + rms_norm(gated_mlp(w, rms_norm(x, w.ffn_norm), gelu), w.post_ffw_norm)


def head(w, x, h):
    return softcap(output(w, rms_norm(x, w.output_norm)), h.logit_cap)
