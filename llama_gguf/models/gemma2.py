"""Gemma 2: norms before and after each branch, every other layer local, tanh caps on scores and logits
(arXiv 2408.00118).
"""

from dataclasses import replace

from ..hparams import windows
from ..nn import attention, gated_mlp, gelu, output, rms_norm, softcap

NAMES = ("gemma2",)


def hparams(meta):
    return {
        "rope": "neox",
        "windows": windows(meta, 2, default=4096),
        "local_base": meta.float(".rope.freq_base_swa", 0.0, lo=0.0),
        "score_cap": meta.float(".attn_logit_softcapping", 50.0, lo=0.0),
        "logit_cap": meta.float(".final_logit_softcapping", 30.0, lo=0.0),
        "shared_scale": meta.int(".block_count") == 46,  # the 27B: by width / heads, not by head
    }


def embed(w, x, h):
    return x * h.width**0.5


def block(w, x, h, layer):
    window = h.windows[layer]
    turn = replace(h.rope, base=h.local_base) if window and h.local_base else h.rope
    scale = (h.width / h.heads) ** -0.5 if h.shared_scale else None
    how = {"turn": turn, "scale": scale, "window": window, "cap": h.score_cap}
    x = x + rms_norm(attention(w, rms_norm(x, w.attn_norm), h, layer, **how), w.post_attention_norm)
    return x + rms_norm(gated_mlp(w, rms_norm(x, w.ffn_norm), gelu), w.post_ffw_norm)


def head(w, x, h):
    return softcap(output(w, rms_norm(x, w.output_norm)), h.logit_cap)
