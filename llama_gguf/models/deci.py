"""DeciLM and Nemotron made by search: Llama whose layers lack what was not needed (arXiv 2411.19146).

A layer without query heads has no attention, one with query heads but no key heads one product in its place; one whose
network is 0 wide has none.
"""

from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("deci",)


def hparams(meta):
    return {"rope": "norm", "recurrent": True}


def block(w, x, h, layer):
    if h.heads:
        y = rms_norm(x, w.attn_norm)
        x = x + (attention(w, y, h, layer) if h.kv_heads else w.attn_output @ y)
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu) if h.ff else x


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
