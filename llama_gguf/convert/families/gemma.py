"""Gemma 1 to 3 and EmbeddingGemma: norms by 1 + weight, heads wider than their share, embeddings that are the output.

An output matrix in the folder is a copy of the embeddings, which some tools write.
"""

from ..family import Family
from ..keys import BLOCKS, COMMON, HEADS
from ..rules import To
from ..transforms import first_rows
from .parts import ATTENTION, MLP, NORMS, SANDWICH, shifted

BODY = {"embed_tokens": "token_embd", "lm_head": None} | ATTENTION | MLP
FINAL = {"norm": "output_norm"}
QK = {"layers.#.self_attn.q_norm": "attn_q_norm", "layers.#.self_attn.k_norm": "attn_k_norm"}
GEMMA3 = BODY | shifted(SANDWICH | FINAL | QK) | {
    "embed_tokens": To("token_embd", first_rows("n_tokens")),
}
RMS = {".attention.layer_norm_rms_epsilon": "rms_norm_eps"}
CAPS = {
    ".attn_logit_softcapping": "attn_logit_softcapping",
    ".final_logit_softcapping": "final_logit_softcapping",
    ".attention.sliding_window": "sliding_window",
}
KEYS3 = COMMON | {
    ".final_logit_softcapping": "final_logit_softcapping",
    ".attention.sliding_window": lambda c: None if c.get("sliding_window_pattern") == 1 else c.get("sliding_window"),
}
NO_SPACE = {"tokenizer.ggml.add_space_prefix": lambda c: None if c.vocabulary == "bpe" else False}
DEFAULTS = dict(rms_norm_eps=1e-6, max_position_embeddings=8192, head_dim=256)
DEFAULTS3 = DEFAULTS | dict(max_position_embeddings=131072, num_attention_heads=8, num_key_value_heads=4,
                            sliding_window=4096, rope_theta=1e6, rope_local_base_freq=10000.0)
def query_scale(blocks):
    """What a query is scaled by the root of: the width of a head, in the largest models the width of a share."""
    def scale(stated):
        share = stated[".embedding_length"] // stated[".attention.head_count"]
        return share if stated[".block_count"] == blocks else stated[".attention.key_length"]

    return scale


SHARED = dict(vocabulary="sentencepiece bpe", tokens_anyway=NO_SPACE)


FAMILIES = (
    Family("gemma", "GemmaForCausalLM", BODY | shifted(NORMS | FINAL), BLOCKS | HEADS | RMS,
           model_type="gemma", defaults=DEFAULTS | dict(num_key_value_heads=16),
           tokens={"tokenizer.ggml.eot_token_id": 107}, **SHARED),  # <end_of_turn>
    Family("gemma2", "Gemma2ForCausalLM", BODY | shifted(SANDWICH | FINAL),
           BLOCKS | HEADS | RMS | CAPS, model_type="gemma2",
           defaults=DEFAULTS | dict(num_key_value_heads=4, attn_logit_softcapping=50.0, final_logit_softcapping=30.0,
                                    sliding_window=4096),
           export=dict(query_pre_attn_scalar=query_scale(46)), **SHARED),
    Family("gemma3", "Gemma3ForCausalLM Gemma3ForConditionalGeneration", GEMMA3, KEYS3, model_type="gemma3_text",
           export=dict(query_pre_attn_scalar=query_scale(62)), defaults=DEFAULTS3, **SHARED),
    Family("gemma-embedding", "Gemma3TextModel", GEMMA3, KEYS3 | {".pooling_type": lambda c: c.pooling},
           model_type="gemma3_text", root="", export=dict(query_pre_attn_scalar=query_scale(0)),
           defaults=DEFAULTS3, **SHARED),
)
