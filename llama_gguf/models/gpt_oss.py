"""gpt-oss: biases everywhere, a sink in attention, and experts whose gate and up are clamped (arXiv 2508.10925).

Every other layer sees a window. Weights of experts are a softmax over the chosen ones. YaRN's ramp is not rounded to
whole pairs, as it is elsewhere; no key says so.
"""

from dataclasses import replace

from ..hparams import windows
from ..nn import attention, moe, output, rms_norm, swiglu_oai

NAMES = ("gpt-oss",)
BIASES = "attn_output ffn_gate_inp ffn_gate_exps ffn_up_exps ffn_down_exps"


def hparams(meta):
    return {"rope": "neox", "experts": {"gating": "chosen"}, "windows": windows(meta, 2)}


def block(w, x, h, layer):
    turn, window = replace(h.rope, whole=False), h.windows[layer]
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, turn=turn, window=window, sinks=w.attn_sinks)
    return x + moe(w, rms_norm(x, w.post_attention_norm), h, swiglu_oai)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
