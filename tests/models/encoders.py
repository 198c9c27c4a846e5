"""Random encoders, tiny: shapes and keys as converters write them.

tests/data/goldens/NAME holds what `write` made once, and what llama.cpp made of it: for each text its tokens, the state
of each, and scores where there is a head for them.
"""

import numpy as np

from llama_gguf.gguf import write_gguf
from llama_gguf.gguf.values import Typed
from llama_gguf.testing import random_matrix, vocabulary_keys
from llama_gguf.testing import words as byte_words

LAYERS, WIDTH, HEADS, FF, CONTEXT = 3, 64, 4, 96, 128
TEXTS = ("the cat", "a map of the river at night, and the way home", "go", " ".join(["up and down the hill"] * 7))
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("the", "cat", "map", "of", "river", "at", "night", "and", "way", "home", "up", "down", "hill")
PIECES = [*(f"▁{word}" for word in WORDS), "ing"]
LETTERS = "abcdefghijklmnopqrstuvwxyz,."
NAMES = ("bert", "bert-rank", "nomic-bert", "modern-bert", "jina-bert-v2", "gemma-embedding")


def word_pieces():
    return [*SPECIAL, *PIECES, *(f"▁{c}" for c in LETTERS), *LETTERS]


def wordpiece_keys():
    tokens = word_pieces()
    return {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "jina-v2-en",
        "tokenizer.ggml.tokens": Typed(tokens, "str"),
        "tokenizer.ggml.token_type": Typed([3 if t in SPECIAL else 1 for t in tokens], "i32"),
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.cls_token_id": 2,
        "tokenizer.ggml.seperator_token_id": 3,
        "tokenizer.ggml.mask_token_id": 4,
    }


def bert():
    """Tensors of one block, and of the model around."""
    block = square("attn_q", "attn_k", "attn_v", "attn_output") | matrix("ffn_up", FF, WIDTH)
    block |= matrix("ffn_down", WIDTH, FF) | norm("attn_output_norm") | norm("layer_output_norm")
    return block, around() | {"position_embd.weight": (CONTEXT, WIDTH)}


def nomic_bert():
    block = matrix("attn_qkv", 3 * WIDTH, WIDTH, bias=False) | matrix("attn_output", WIDTH, WIDTH, bias=False)
    for name, shape in (("ffn_gate", (FF, WIDTH)), ("ffn_up", (FF, WIDTH)), ("ffn_down", (WIDTH, FF))):
        block |= matrix(name, *shape, bias=False)
    return block | norm("attn_output_norm") | norm("layer_output_norm"), around()


def jina_bert_v2():
    block = square("attn_q", "attn_k", "attn_v", "attn_output") | matrix("ffn_gate", FF, WIDTH, bias=False)
    block |= matrix("ffn_up", FF, WIDTH, bias=False) | matrix("ffn_down", WIDTH, FF)
    block |= norm("attn_q_norm") | norm("attn_k_norm") | norm("attn_norm_2")
    return block | norm("attn_output_norm") | norm("layer_output_norm"), around()


def modern_bert():
    block = matrix("attn_qkv", 3 * WIDTH, WIDTH, bias=False) | matrix("attn_output", WIDTH, WIDTH, bias=False)
    block |= matrix("ffn_up", 2 * FF, WIDTH, bias=False) | matrix("ffn_down", WIDTH, FF, bias=False)
    block |= norm("attn_norm", bias=False) | norm("ffn_norm", bias=False)
    return block, norm("token_embd_norm", bias=False) | norm("output_norm", bias=False)


def gemma_embedding():
    head, block = 32, {}
    for name, shape in (("attn_q", (HEADS * head, WIDTH)), ("attn_k", (head, WIDTH)), ("attn_v", (head, WIDTH)),
                        ("attn_output", (WIDTH, HEADS * head)), ("ffn_gate", (FF, WIDTH)), ("ffn_up", (FF, WIDTH)),
                        ("ffn_down", (WIDTH, FF))):
        block |= matrix(name, *shape, bias=False)
    for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
        block |= norm(name, bias=False)
    return block | norm("attn_q_norm", head, False) | norm("attn_k_norm", head, False), norm("output_norm", bias=False)


def matrix(name, rows, cols, bias=True):
    return {f"{name}.weight": (rows, cols)} | ({f"{name}.bias": (rows,)} if bias else {})


def square(*names):
    return {k: v for name in names for k, v in matrix(name, WIDTH, WIDTH).items()}


def norm(name, size=WIDTH, bias=True):
    return {f"{name}.weight": (size,)} | ({f"{name}.bias": (size,)} if bias else {})


def around():
    return {"token_types.weight": (2, WIDTH)} | norm("token_embd_norm")


SHAPES = {
    "bert": bert, "bert-rank": bert, "nomic-bert": nomic_bert, "modern-bert": modern_bert, "jina-bert-v2": jina_bert_v2,
    "gemma-embedding": gemma_embedding,
}
KEYS = {
    "bert": {"pooling_type": 2},
    "bert-rank": {"pooling_type": 4},
    "nomic-bert": {"pooling_type": 1, "rope.freq_base": 1000.0},
    "modern-bert": {"pooling_type": 1, "rope.freq_base": 160000.0, "rope.freq_base_swa": 10000.0,
                    "attention.sliding_window": 16, "attention.sliding_window_pattern": 2, "rope.scaling.type": "none",
                    "hidden_activation": "gelu"},
    "jina-bert-v2": {"pooling_type": 1},
    "gemma-embedding": {"pooling_type": 1, "rope.freq_base": 1000000.0, "attention.sliding_window": 16,
                        "attention.sliding_window_pattern": 3, "attention.key_length": 32, "attention.value_length": 32,
                        "attention.head_count_kv": 1, "attention.layer_norm_rms_epsilon": 1e-6},
}


def write(name, path, type="F32", metadata=None, tensors=None):
    """A file of random weights, the same each time; `metadata` and `tensors` as in llama_gguf.testing.tiny."""
    rng, arch = np.random.default_rng(sum(name.encode())), name.removesuffix("-rank")
    vocabulary = wordpiece_keys() if "token_types.weight" in SHAPES[name]()[1] else byte_level_keys()
    keys = {
        "general.architecture": arch, "general.name": f"tiny {name}",
        f"{arch}.block_count": LAYERS, f"{arch}.context_length": CONTEXT, f"{arch}.embedding_length": WIDTH,
        f"{arch}.feed_forward_length": FF, f"{arch}.attention.head_count": HEADS, f"{arch}.attention.causal": False,
    }
    keys |= {} if name == "gemma-embedding" else {f"{arch}.attention.layer_norm_epsilon": 1e-12}
    keys |= {f"{arch}.{k}": v for k, v in KEYS[name].items()} | vocabulary
    block, rest = SHAPES[name]()
    n = len(keys["tokenizer.ggml.tokens"].value)
    shapes = {"token_embd.weight": (n, WIDTH)} | rest
    if name == "bert-rank":
        shapes |= matrix("cls", WIDTH, WIDTH) | matrix("cls.output", 1, WIDTH)
    shapes |= {f"blk.{i}.{k}": v for i in range(LAYERS) for k, v in block.items()}
    if name == "modern-bert":
        del shapes["blk.0.attn_norm.weight"]
    made = {k: random(k, shape, type, rng) for k, shape in shapes.items()} | (tensors or {})
    keys |= metadata or {}
    write_gguf(path, {k: v for k, v in keys.items() if v is not None},
               [(k, *x) for k, x in made.items() if x is not None], force=True)
    return path


def random(name, shape, type, rng):
    """Scores of some size, or every pattern would be flat."""
    if len(shape) == 1:
        mean = 1 if "norm" in name and name.endswith("weight") else 0
        return "F32", shape, (mean + 0.2 * rng.standard_normal(shape)).astype(np.float32)
    if name in ("token_types.weight", "position_embd.weight"):
        return "F32", shape, rng.standard_normal(shape).astype(np.float32) / 4
    values = random_matrix(type, *shape, rng)
    return type, shape, values * np.float32(2) if type == "F32" and ("attn_q" in name or "attn_k" in name) else values


def byte_level_keys():
    keys = vocabulary_keys(byte_words())
    del keys["tokenizer.chat_template"]
    return keys | {"tokenizer.ggml.add_eos_token": True, "tokenizer.ggml.add_bos_token": True}
