"""Decoders whose layers are all alike: attention and one feed-forward network."""

from ...gguf.values import Typed
from ..shapes import Family
from .parts import (
    ATTENTION,
    BIASED,
    EXPERTS,
    GATED,
    GPT,
    HEAD_NORMS,
    LLAMA,
    MIXTURE,
    NORMS_OF_EACH,
    PARTIAL,
    PLAIN,
    POST_NORMED,
    SAME_HEADS,
    SANDWICH,
    WHOLE_NORMS,
    experts,
    scales,
    window,
)


def xielu(s):
    shape = {"alpha_n": 0.3, "alpha_p": 0.7, "beta": 0.5, "eps": -1e-6}
    return {f"xielu.{k}": Typed([v * (1 + i / 4) for i in range(s.layers)], "f32") for k, v in shape.items()}


DENSE = {
    "llama": Family(
        lambda i, s: LLAMA.replace(GATED, MIXTURE) if s.experts else LLAMA, keys=experts, sizes=EXPERTS | {"experts": 0}
    ),
    "apertus": Family(f"attn_norm {ATTENTION} {HEAD_NORMS} ffn_norm {PLAIN}", keys=xielu),
    "arcee": Family(f"attn_norm {ATTENTION} ffn_norm {PLAIN}"),
    "baichuan": Family(LLAMA, sizes={"layers": 32, "width": 32, "ff": 32, "heads": 2, "kv_heads": lambda s: s.heads}),
    "bloom": Family(GPT, "token_embd_norm+ output_norm+", norm="layer", rope=False, sizes=SAME_HEADS, tied=True),
    "command-r": Family(
        f"attn_norm {ATTENTION} {GATED}", norm="layer", tied=True, qk_norms=NORMS_OF_EACH,
        keys=lambda s: {".logit_scale": 0.25},
    ),
    "cohere2": Family(
        f"attn_norm {ATTENTION} {GATED}", norm="layer", tied=True, keys=lambda s: window(s) | {".logit_scale": 0.25},
        sizes={"layers": 4, "window": 8},
    ),
    "ernie4_5": Family(LLAMA, tied=True),
    "exaone4": Family(
        POST_NORMED.replace(WHOLE_NORMS, HEAD_NORMS), keys=lambda s: window(s) if s.window else {},
        sizes={"window": 0},
    ),
    "falcon": Family(
        f"attn_norm+ attn_qkv attn_output {PLAIN}", "output_norm+", norm="layer", tied=True, sizes={"kv_heads": 1}
    ),
    "gemma": Family(LLAMA, tied=True, sizes={"head_dim": 32}),
    "gemma2": Family(
        SANDWICH, tied=True, sizes={"head_dim": 32, "window": 8},
        keys=lambda s: window(s) | {".attn_logit_softcapping": 5.0, ".final_logit_softcapping": 3.0},
    ),
    "gemma3": Family(
        f"{SANDWICH} {HEAD_NORMS}", tied=True, keys=lambda s: window(s) | {".rope.freq_base_swa": 10000.0},
        sizes={"layers": 7, "width": 32, "head_dim": 16, "rope_base": 1e6, "window": 8},
    ),
    "glm4": Family(
        SANDWICH.replace(ATTENTION, BIASED).replace(GATED, "ffn_up:2*ff,width ffn_down"), sizes=PARTIAL
    ),
    "gpt2": Family(GPT, "position_embd output_norm+", norm="layer", rope=False, tied=True, sizes=SAME_HEADS),
    "starcoder": Family(GPT, "position_embd output_norm+", norm="layer", rope=False, tied=True, sizes={"kv_heads": 1}),
    "gptneox": Family(
        GPT, "output_norm+", norm="layer", keys=lambda s: {".use_parallel_residual": True}, sizes=SAME_HEADS | PARTIAL
    ),
    "granite": Family(LLAMA, tied=True, keys=lambda s: scales(s) | {".attention.scale": 0.2}),
    "minicpm": Family(LLAMA, tied=True, keys=scales),
    "hunyuan-dense": Family(f"{LLAMA} {HEAD_NORMS}", tied=True),
    "internlm2": Family(LLAMA),
    "xverse": Family(LLAMA),
    "mistral3": Family(
        LLAMA, sizes={"original": 8},
        keys=lambda s: {".attention.temperature_scale": 0.1, ".rope.scaling.original_context_length": s.original},
    ),
    "mpt": Family(
        f"attn_norm attn_qkv attn_output ffn_norm {PLAIN}", norm="layer", rope=False, tied=True, qk_norms=WHOLE_NORMS,
        keys=lambda s: {".attention.max_alibi_bias": 8.0}, sizes=SAME_HEADS,
    ),
    "nemotron": Family(f"attn_norm+ {ATTENTION} ffn_norm+ {PLAIN}", "output_norm+", norm="layer", sizes=PARTIAL),
    "olmo": Family(f"{ATTENTION} {GATED}", "", norm="layer", keys=lambda s: {".attention.clamp_kqv": 1.0}),
    "olmo2": Family(POST_NORMED, keys=lambda s: window(s) if s.window else {}, sizes={"window": 0}),
    "phi2": Family(
        "attn_norm+ attn_q+ attn_k+ attn_v+ attn_output+ ffn_up+ ffn_down+", "output_norm+", norm="layer",
        output="output+", sizes=SAME_HEADS | PARTIAL,
    ),
    "phi3": Family(
        "attn_norm attn_qkv attn_output ffn_norm ffn_up:2*ff,width ffn_down",
        keys=lambda s: {"general.name": "tiny"} | (window(s) if s.window else {}),  # llama.cpp looks for "phi3" in it
        sizes={"window": 0},
    ),
    "qwen": Family(
        f"attn_norm attn_qkv+ attn_output ffn_norm {GATED}", keys=lambda s: {".feed_forward_length": 2 * s.ff},
        sizes=SAME_HEADS,
    ),
    "qwen2": Family(LLAMA.replace(ATTENTION, BIASED)),
    "qwen3": Family(f"{LLAMA} {HEAD_NORMS}", sizes={"head_dim": 32}),
    "seed_oss": Family(f"attn_norm {BIASED} post_attention_norm {GATED}"),
    "smollm3": Family(LLAMA, tied=True, sizes={"layers": 4}),
    "stablelm": Family(
        f"attn_norm+ {ATTENTION} ffn_norm+ {GATED}", "output_norm+", norm="layer", qk_norms=NORMS_OF_EACH,
        keys=lambda s: {".use_parallel_residual": False}, sizes=PARTIAL,
    ),
    "starcoder2": Family(
        "attn_norm+ attn_q+ attn_k+ attn_v+ attn_output+ ffn_norm+ ffn_up+ ffn_down+", "output_norm+", norm="layer",
        tied=True,
    ),
}
