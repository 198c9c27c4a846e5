"""GLM-4.5 and 4.6: half of each head turns, experts are chosen as by DeepSeek-V3 (arXiv 2508.06471).

The first layers are dense. The largest of the family norms each head of q and k.
"""

from ..nn import attention, moe_or_mlp, output, rms_norm
from ..rope import sections

NAMES = ("glm4moe",)


def hparams(meta):
    sections(meta)
    return {"rope": "neox", "experts": {"gating": "sigmoid", "norm": False, "biased": True, "shared": "plain"}}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + moe_or_mlp(w, rms_norm(x, w.post_attention_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
