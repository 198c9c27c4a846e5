"""Gemma 4, its text part: heads of two widths, values that are keys, embeddings for each layer (Google, 2026).

Local layers have narrower heads and a rotary base of their own; in global layers only the first pairs of a head turn,
by factors in the file. The last layers read keys and values of earlier ones. Queries, keys and values are normed for
each head, and scores are not scaled. Where a layer has no matrix for values, they are its keys. A layer may add
numbers that each token has for it alone. Layers with experts have a network beside them, with norms of its own, and a
router that sees the residual; each expert has a scale.
"""

from dataclasses import replace

from ..hparams import HEAD_WIDTH, key_sources, local_layers
from ..nn import gated_mlp, gelu, moe, output, rms_norm, shared_attention, softcap, times_vector
from ..nn.streams import layer_input, layer_inputs

NAMES = ("gemma4",)


def hparams(meta):
    windows, wide = local_layers(meta), meta.int(".attention.key_length", lo=1, hi=HEAD_WIDTH)
    narrow = meta.int(".attention.key_length_swa", lo=1, hi=HEAD_WIDTH)
    for key, width in ((".attention.value_length", wide), (".attention.value_length_swa", narrow)):
        if meta.int(key) != width:
            raise meta.error(key, f"is {meta.int(key)}, but keys have {width}: values must be as wide")
    turned = meta.int(".rope.dimension_count_swa", lo=2, hi=narrow)
    if turned % 2:
        raise meta.error(".rope.dimension_count_swa", f"is {turned}, but positions rotate pairs")
    return {
        "rope": "neox",
        "factors": "rope_freqs.weight",
        "experts": {"gating": "softmax", "norm": True},
        "windows": windows,
        "sources": key_sources(meta, windows, 0),
        "head_dims": [narrow if window else wide for window in windows],
        "local": {"dim": turned, "base": meta.float(".rope.freq_base_swa", 10000.0, above=1.0)},
        "per_layer": meta.int(".embedding_length_per_layer_input", lo=0, hi=1 << 16),
        "logit_cap": meta.float(".final_logit_softcapping", 0.0, lo=0.0),
    }


def embed(w, x, h):
    x = x * h.width**0.5
    return layer_inputs(w, x, h) if h.per_layer else x


def experts(w, x, h):
    seen = times_vector(rms_norm(x) * h.width**-0.5, w["ffn_gate_inp.scale"])
    return rms_norm(moe(w, rms_norm(x, w.pre_ffw_norm_2), h, gelu, chosen_by=seen), w.post_ffw_norm_2)


def block(w, x, h, layer):
    window = h.windows[layer]
    turn = replace(h.rope, **h.local, scaling="none", divisors=None) if window else h.rope
    how = {"turn": turn, "source": h.sources[layer], "window": window, "scale": 1.0, "key_is_value": not window}
    x = x + rms_norm(shared_attention(w, rms_norm(x, w.attn_norm), h, layer, **how), w.post_attention_norm)
    y = gated_mlp(w, rms_norm(x, w.ffn_norm), gelu)
    if "ffn_gate_inp" in w:
        y = rms_norm(y, w.post_ffw_norm_1) + experts(w, x, h)
    x = x + rms_norm(y, w.post_ffw_norm)
    x = x + layer_input(w, x, h, layer) if h.per_layer else x
    return times_vector(x, w.layer_output_scale) if "layer_output_scale" in w else x


def head(w, x, h):
    return softcap(output(w, rms_norm(x, w.output_norm)), h.logit_cap)
