"""Qwen 1 to 3, dense: Llama's blocks with a rope of two halves; Qwen 1 has names of its own."""

from ..family import Family
from ..keys import COMMON
from .parts import PLAIN, QK_NORMS

KEYS = COMMON | {".pooling_type": lambda c: c.pooling}
QWEN1 = {
    "wte": "token_embd",
    "ln_f": "output_norm",
    "lm_head": "output",
    "h.#.ln_1": "attn_norm",
    "h.#.attn.c_attn": "attn_qkv",
    "h.#.attn.c_proj": "attn_output",
    "h.#.ln_2": "ffn_norm",
    "h.#.mlp.w1": "ffn_up",
    "h.#.mlp.w2": "ffn_gate",
    "h.#.mlp.c_proj": "ffn_down",
}
END = "<|endoftext|>"
DEFAULTS = dict(rope_theta=10000.0, rms_norm_eps=1e-6, max_position_embeddings=32768, num_key_value_heads=32)

FAMILIES = (
    Family("qwen", "QWenLMHeadModel", QWEN1, COMMON, vocabulary="tiktoken bpe", model_type="qwen", root="transformer.",
           tokens={f"tokenizer.ggml.{role}_token_id": lambda c: c.token_id(END) for role in ("bos", "eos", "unknown")}),
    Family("qwen2", "Qwen2ForCausalLM Qwen2Model Qwen2AudioForConditionalGeneration KORMoForCausalLM "
           "AudioFlamingo3ForConditionalGeneration DotsOCRForCausalLM", PLAIN | {
               "layers.#.pre_attention_layernorm": "attn_norm", "layers.#.pre_mlp_layernorm": "ffn_norm"},
           KEYS, vocabulary="sentencepiece bpe", model_type="qwen2", defaults=DEFAULTS),
    Family("qwen3", "Qwen3ForCausalLM Qwen3Model", PLAIN | QK_NORMS, KEYS, vocabulary="sentencepiece bpe",
           model_type="qwen3", defaults=DEFAULTS | dict(head_dim=128)),
)
