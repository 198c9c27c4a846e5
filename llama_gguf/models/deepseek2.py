"""DeepSeek V2 and V3, Kimi K2, GLM 4.7 Flash, Mistral 4: latent attention and many small experts
(arXiv 2405.04434, 2412.19437).

Keys and values come from one latent vector; a head's key has a plain and a rotated part. The first layers are dense.
YaRN leaves rotated values as long as they were and sharpens all scores instead. V2 chooses groups of experts by their
best one, V3 by their best two; llama.cpp takes the best two of all. Mistral's queries grow a little with each length of
the original context.
"""

import math
from dataclasses import replace

from ..nn import latent_attention, moe_or_mlp, output, rms_norm

NAMES = ("deepseek2", "mistral4")


def hparams(meta):
    rotated = meta.int(".rope.dimension_count", lo=2)
    sigmoid = meta.int(".expert_gating_func", 2 if is_glm(meta) else 1) == 2
    grows = meta.float(".attention.temperature_scale", 0.0)
    lengths = meta.int(".attention.temperature_length", *(() if grows else (0,)), lo=1 if grows else 0)
    return {
        "temper_by": (grows, lengths) if grows else None,
        "rope": "norm",
        "experts": {"gating": "sigmoid" if sigmoid else "softmax", "group_best": 2 if sigmoid else 1},
        "rank": meta.int(".attention.kv_lora_rank", lo=1, hi=1024),
        "key_dim": meta.int(".attention.key_length_mla", meta.int(".attention.key_length"), lo=rotated + 1, hi=1024),
    }


def is_glm(meta):
    """GLM 4.7 Flash, whose first files do not say how experts are weighed."""
    return meta.int(".block_count") in (47, 48) and meta.int(".vocab_size", 0) == 154880


def block(w, x, h, layer):
    sharper = 1 + h.rope.log_multiplier * math.log(h.rope.factor)
    turn = replace(h.rope, log_multiplier=1.0) if h.rope.log_multiplier else h.rope
    scale = h.key_dim**-0.5 * sharper**2
    x = x + latent_attention(w, rms_norm(x, w.attn_norm), h, layer, turn=turn, scale=scale, temper_by=h.temper_by)
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
