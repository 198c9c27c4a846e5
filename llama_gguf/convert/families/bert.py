"""BERT and its kin, for embeddings and ranking: RoBERTa and XLM-R, Nomic, Jina 2, ModernBERT."""

from ..family import Family
from ..keys import COMMON, NO_SCALING, VOCABULARY
from ..rules import To
from ..transforms import rows_from

EMBEDDINGS = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
SCORES = {"classifier": "cls.output", "classifier.dense": "cls", "classifier.out_proj": "cls.output"}
BERT = EMBEDDINGS | SCORES | {
    "embeddings.position_embeddings": "position_embd",
    "encoder.layer.#.attention.self.query": "attn_q",
    "encoder.layer.#.attention.self.key": "attn_k",
    "encoder.layer.#.attention.self.value": "attn_v",
    "encoder.layer.#.attention.output.dense": "attn_output",
    "encoder.layer.#.attention.output.LayerNorm": "attn_output_norm",
    "encoder.layer.#.intermediate.dense": "ffn_up",
    "encoder.layer.#.output.dense": "ffn_down",
    "encoder.layer.#.output.LayerNorm": "layer_output_norm",
}
NOMIC = EMBEDDINGS | {
    "emb_ln": "token_embd_norm",
    "encoder.layers.#.attn.Wqkv": "attn_qkv",
    "encoder.layers.#.attn.out_proj": "attn_output",
    "encoder.layers.#.norm1": "attn_output_norm",
    "encoder.layers.#.norm2": "layer_output_norm",
    "encoder.layers.#.mlp.fc11": "ffn_up",
    "encoder.layers.#.mlp.fc12": "ffn_gate",
    "encoder.layers.#.mlp.fc2": "ffn_down",
}
JINA = BERT | {
    "encoder.layer.#.attention.self.layer_norm_q": "attn_q_norm",
    "encoder.layer.#.attention.self.layer_norm_k": "attn_k_norm",
    "encoder.layer.#.layer_norm_1": "attn_norm_2",
    "encoder.layer.#.layer_norm_2": "layer_output_norm",
    "encoder.layer.#.mlp.gated_layers": "ffn_up",
    "encoder.layer.#.mlp.up_gated_layer": "ffn_up",
    "encoder.layer.#.mlp.wo": "ffn_down",
    "encoder.layer.#.mlp.down_layer": "ffn_down",
    "encoder.layer.#.mlp.layernorm": "layer_output_norm",
}
MODERN = SCORES | {
    "embeddings.tok_embeddings": "token_embd",
    "embeddings.norm": "token_embd_norm",
    "final_norm": "output_norm",
    "layers.#.attn_norm": "attn_norm",
    "layers.#.attn.Wqkv": "attn_qkv",
    "layers.#.attn.Wo": "attn_output",
    "layers.#.mlp_norm": "ffn_norm",
    "layers.#.mlp.Wi": "ffn_up",
    "layers.#.mlp.Wo": "ffn_down",
    "head.dense": "cls",
    "head.norm": "cls.norm",
}


def skipped_positions(c):
    """RoBERTa counts positions from behind the padding token's id."""
    return c.get("pad_token_id", default=1) + 1


def labels(c):
    """Names of the scores, but for the pair that transformers makes up."""
    names = [label for _, label in sorted(c.get("id2label", default={}).items(), key=lambda pair: int(pair[0]))]
    return None if len(names) == 2 and names[0] == "LABEL_0" else names or None


LOOKS_BOTH_WAYS = {
    ".attention.causal": False,
    ".pooling_type": lambda c: c.pooling,
    ".classifier.output_labels": labels,
}
TYPES = {"tokenizer.ggml.token_type_count": lambda c: c.get("type_vocab_size", default=1)}
KEYS = COMMON | LOOKS_BOTH_WAYS | TYPES
ROBERTA_KEYS = KEYS | {".context_length": lambda c: c.need("max_position_embeddings") - skipped_positions(c)}
ROBERTA = BERT | {"embeddings.position_embeddings": To("position_embd", rows_from(skipped_positions))}


def nomic_context(c):
    """Positions that Nomic's models were trained for; config.json states more."""
    return {8192: 2048, 2048: 512}.get(c.get("n_positions", "max_position_embeddings"), c.get("n_positions"))


def positions(stated):
    """What `nomic_context` reads the context from."""
    return {2048: 8192, 512: 2048}.get(stated[".context_length"], stated[".context_length"])


MODERN_KEYS = COMMON | NO_SCALING | VOCABULARY | LOOKS_BOTH_WAYS | {
    ".attention.sliding_window": "local_attention",
    ".attention.sliding_window_pattern": "global_attn_every_n_layers",
    ".hidden_activation": "hidden_activation",
    ".classifier.pooling_type": lambda c: {"mean": 1, "cls": 2}.get(c.get("classifier_pooling")),
}
POOLER = ("pooler", "cls")
DEFAULTS = dict(layer_norm_eps=1e-12, max_position_embeddings=512, type_vocab_size=2)
MODERN_DEFAULTS = dict(norm_eps=1e-5, max_position_embeddings=8192, local_attention=128, hidden_activation="gelu",
                       global_rope_theta=160000.0, local_rope_theta=10000.0, classifier_pooling="cls")

FAMILIES = (
    Family("bert", "BertModel BertForMaskedLM BertForSequenceClassification CamembertModel", BERT, KEYS,
           vocabulary="wordpiece", defaults=DEFAULTS, ignored=POOLER, model_type="bert", root=""),
    Family("bert", "XLMRobertaModel XLMRobertaForSequenceClassification", ROBERTA, ROBERTA_KEYS,
           vocabulary="unigram", defaults=DEFAULTS, ignored=(*POOLER, "lm_head"), model_type="xlm-roberta", root=""),
    Family("bert", "RobertaModel RobertaForSequenceClassification", ROBERTA, ROBERTA_KEYS, vocabulary="bpe",
           defaults=DEFAULTS, ignored=(*POOLER, "lm_head"), model_type="roberta", root=""),
    Family("nomic-bert", "NomicBertModel", NOMIC, KEYS | {".context_length": nomic_context}, vocabulary="wordpiece",
           ignored=POOLER, model_type="nomic_bert", root="", export=dict(n_positions=positions)),
    Family("jina-bert-v2", "JinaBertModel JinaBertForMaskedLM", JINA, KEYS, vocabulary="wordpiece bpe",
           defaults=DEFAULTS, ignored=POOLER, model_type="bert", root=""),
    Family("modern-bert", "ModernBertModel ModernBertForMaskedLM ModernBertForSequenceClassification", MODERN,
           MODERN_KEYS, vocabulary="bpe", defaults=MODERN_DEFAULTS, ignored=("decoder",), model_type="modernbert",
           root="", tokens={f"tokenizer.ggml.add_{role}_token": True for role in ("bos", "eos", "sep")}),
)
