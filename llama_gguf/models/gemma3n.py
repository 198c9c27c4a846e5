"""Gemma 3n, its text part: four residual streams of which a layer works on one, embeddings for each layer
(Google, 2025; AltUp, arXiv 2301.13310; LAuReL, arXiv 2411.07501).

Four local layers to each global one; the last layers read keys and values of earlier ones. Queries, keys and values
are normed for each head, and scores are not scaled. A step of low rank stands beside attention. In the first layers
only the gates that lie far above their mean are open; llama.cpp's standard deviation divides by one less than all.
"""

import math
from dataclasses import replace

from ..hparams import key_sources, local_layers
from ..nn import gated_mlp, gelu, output, rms_norm, shared_attention, softcap, sparse, times_vector
from ..nn.streams import (
    correct,
    expand_streams,
    laurel,
    layer_input,
    layer_inputs,
    merge_streams,
    predict,
    stream,
    to_others,
)

NAMES = ("gemma3n",)


def hparams(meta):
    windows, streams = local_layers(meta), meta.int(".altup.num_inputs", lo=2, hi=64)
    return {
        "rope": "neox",
        "windows": windows,
        "sources": key_sources(meta, windows),
        "local_base": meta.float(".rope.freq_base_swa", 10000.0, above=1.0),
        "streams": streams,
        "active": meta.int(".altup.active_idx", lo=0, hi=streams - 1),
        "per_layer": meta.int(".embedding_length_per_layer_input", lo=1, hi=1 << 16),
        "deviations": deviations(meta, len(windows)),
        "logit_cap": meta.float(".final_logit_softcapping", 30.0, lo=0.0),
    }


def deviations(meta, layers):
    """How far above the mean a gate must be, in standard deviations; -inf: all are open."""
    key = ".activation_sparsity_scale"
    found = list(meta.array(key, "float"))
    if len(found) != layers or not all(math.isfinite(x) or x == -math.inf for x in found):
        raise meta.error(key, f"must hold {layers} numbers, one for each layer, finite or -infinity")
    return tuple(found)


def embed(w, x, h):
    return expand_streams(w, layer_inputs(w, x * h.width**0.5, h), h)


def network(w, x, least):
    return gated_mlp(w, x, gelu if least == -math.inf else lambda gate: gelu(sparse(gate, least)))


def block(w, x, h, layer):
    window = h.windows[layer]
    turn = replace(h.rope, base=h.local_base, scaling="none") if window else h.rope
    how = {"turn": turn, "source": h.sources[layer], "window": window, "scale": 1.0}
    x = predict(w, x, h)
    active = stream(x, h)
    y = rms_norm(active, w.attn_norm)
    a = rms_norm(shared_attention(w, y, h, layer, **how), w.post_attention_norm)
    y = (active + a + laurel(w, y)) * 0.5**0.5
    y = y + rms_norm(network(w, rms_norm(y, w.ffn_norm), h.deviations[layer]), w.post_ffw_norm)
    x = correct(w, x, y, h)
    return to_others(x, layer_input(w, times_vector(stream(x, h), w.altup_correct_scale), h, layer), h)


def head(w, x, h):
    return softcap(output(w, rms_norm(merge_streams(w, x, h), w.output_norm)), h.logit_cap)
