"""LFM2: most layers mix tokens by a gated convolution over the last few of them, the others by attention.

Layers without key heads are the convolutions. The final norm is called token_embd_norm in the files.
LFM2 MoE has experts in all but the first layers, chosen by biased scores.
"""

from ..nn import attention, moe_or_mlp, output, rms_norm, short_conv

NAMES = ("lfm2", "lfm2moe")


def hparams(meta):
    return {
        "rope": "neox",
        "recurrent": True,
        "experts": {"gating": "sigmoid", "norm": True, "biased": True} if meta.arch == "lfm2moe" else None,
        "taps": meta.int(".shortconv.l_cache", lo=2, hi=64),
        "window": meta.int(".attention.sliding_window", 0, lo=0),
    }


def block(w, x, h, layer):
    y = rms_norm(x, w.attn_norm)
    x = x + (attention(w, y, h, layer, window=h.window) if h.kv_heads else short_conv(w, y, h))
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm if "output_norm" in w else w.token_embd_norm))
