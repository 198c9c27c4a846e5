"""dots.llm1, Ling 2, MiniMax M2, Hunyuan 3: plain blocks with norms of q and k, experts chosen as by DeepSeek-V3.

A bias balances how often an expert is chosen and does not count in its weight (arXiv 2412.19437). All but MiniMax have
dense first layers and a shared expert (dots.llm1: arXiv 2506.05767); Ling 2 turns half of each head, and its experts
stand in groups. MiniMax M2 norms whole queries and keys, and its weights always add up to 1.
"""

from ..nn import attention, moe_or_mlp, output, rms_norm

NAMES = ("dots1", "bailingmoe2", "minimax-m2", "hy_v3")


def hparams(meta):
    own = {"norm": True} if meta.arch == "minimax-m2" else {"shared": "plain"}
    own |= {"biased": True} if meta.arch in ("minimax-m2", "hy_v3") else {}
    return {"rope": "neox", "experts": {"gating": "sigmoid"} | own}


def block(w, x, h, layer):
    x = x + attention(w, rms_norm(x, w.attn_norm), h, layer)
    return x + moe_or_mlp(w, rms_norm(x, w.ffn_norm), h)


def head(w, x, h):
    return output(w, rms_norm(x, w.output_norm))
