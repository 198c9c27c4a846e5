"""Llama, Mistral, Mixtral and those that share their blocks; GGUF's rope turns neighbours, so q and k change order."""

from ..family import Family
from ..keys import COMMON, VOCABULARY, WHOLE_HEAD
from .parts import TURNED, as_heads, head_dim, llama3_factors

MIXTRAL = {
    "layers.#.block_sparse_moe.gate": "ffn_gate_inp",
    "layers.#.block_sparse_moe.experts.*.w1": "ffn_gate_exps",
    "layers.#.block_sparse_moe.experts.*.w2": "ffn_down_exps",
    "layers.#.block_sparse_moe.experts.*.w3": "ffn_up_exps",
}
KEYS = COMMON | VOCABULARY | WHOLE_HEAD


def add_space(c):
    return c.tokenizer.get("add_prefix_space")


def code_llama_end(c):
    """CodeLlama has 16 tokens more than Llama 2, and its folder has no name for the one that ends a turn."""
    return 32010 if c.get("vocab_size") == 32016 else None


def no_window(c):
    window = c.text.get("sliding_window")
    return window and f"GGUF's llama has no sliding window: beyond {window} tokens answers will differ"


ANYWAY = {
    "tokenizer.ggml.add_space_prefix": add_space,
    "tokenizer.ggml.add_bos_token": lambda c: False if c.get("vocab_size") == 49152 else None,
}
SHARED = dict(keys=KEYS, vocabulary="sentencepiece llama bpe", tokens_anyway=ANYWAY, extra=llama3_factors,
              tokens={"tokenizer.ggml.eot_token_id": code_llama_end})

FAMILIES = (
    Family("llama", "LlamaForCausalLM LLaMAForCausalLM LlamaModel VLlama3ForCausalLM LlavaForConditionalGeneration "
           "VoxtralForConditionalGeneration IQuestCoderForCausalLM", TURNED, model_type="llama",
           defaults=dict(rope_theta=10000.0, rms_norm_eps=1e-6, max_position_embeddings=2048, head_dim=head_dim,
                         num_key_value_heads=as_heads), **SHARED),
    Family("llama", "MistralForCausalLM", TURNED, model_type="mistral",
           remark=no_window,
           defaults=dict(rope_theta=10000.0, rms_norm_eps=1e-6, max_position_embeddings=131072, head_dim=head_dim,
                         num_key_value_heads=8), **SHARED),
    Family("llama", "MixtralForCausalLM", TURNED | MIXTRAL, model_type="mixtral", remark=no_window,
           defaults=dict(rope_theta=1e6, rms_norm_eps=1e-5, max_position_embeddings=131072, num_key_value_heads=8,
                         num_experts_per_tok=2, num_local_experts=8), **SHARED),
    Family("arcee", "ArceeForCausalLM", TURNED, model_type="arcee",
           defaults=dict(rope_theta=10000.0, rms_norm_eps=1e-5, max_position_embeddings=4096, head_dim=head_dim,
                         num_key_value_heads=as_heads), **SHARED),
    Family("smollm3", "SmolLM3ForCausalLM", TURNED, model_type="smollm3",
           defaults=dict(rope_theta=2e6, rms_norm_eps=1e-6, max_position_embeddings=32768, num_key_value_heads=4),
           **SHARED),
)
