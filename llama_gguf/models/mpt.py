"""MPT: ALiBi or learned positions, layer norms mostly without biases, plain MLP (MosaicML, 2023).

What is projected may be clamped, queries and keys normed as whole vectors.
"""

from ..nn import attention, gelu_erf, layer_norm, learned_positions, mlp, output

NAMES = ("mpt",)


def hparams(meta):
    return {
        "alibi": meta.float(".attention.max_alibi_bias", 0.0, lo=0.0),
        "clamp": meta.float(".attention.clamp_kqv", 0.0, lo=0.0),
    }


def embed(w, x, h):
    return learned_positions(w, x) if "position_embd" in w else x


def block(w, x, h, layer):
    y = layer_norm(x, w.attn_norm)
    x = x + attention(w, y, h, layer, norm=layer_norm, clamp=h.clamp, alibi=h.alibi)
    return x + mlp(w, layer_norm(x, w.ffn_norm), gelu_erf)


def head(w, x, h):
    return output(w, layer_norm(x, w.output_norm))
