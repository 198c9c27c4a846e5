"""SmolLM 3: as Llama, but every fourth layer does not turn positions (NoPE, arXiv 2501.18795)."""

from ..nn import attention, gated_mlp, output, rms_norm, silu

NAMES = ("smollm3",)


def hparams(meta):
    return {"rope": "norm"}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer, turn=None if layer % 4 == 3 else h.rope)
    return x + gated_mlp(w, rms_norm(x, w.ffn_norm), silu)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
