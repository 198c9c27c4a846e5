"""Folders for tests: written by hand, tensor by tensor, and exported from the goldens."""

import json
from pathlib import Path

import numpy as np

from llama_gguf.convert.safetensors import header_of
from llama_gguf.gguf import GGUFFile

GOLDENS = Path(__file__).parent.parent / "data" / "goldens"
DTYPES = {"float32": "F32", "float16": "F16", "uint8": "U8", "uint16": "BF16"}
WORDS = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "▁", "a", "b", "▁a"]
SIZES = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4, vocab_size=len(WORDS))


def golden(name):
    return GOLDENS / name / "model.gguf"


def safetensors(path, tensors, dtypes=None):
    """Write arrays; `dtypes` names those whose NumPy type does not tell."""
    rows = [(name, (dtypes or {}).get(name) or DTYPES[x.dtype.name], x.shape) for name, x in tensors.items()]
    data = b"".join(np.ascontiguousarray(x).tobytes() for x in tensors.values())
    Path(path).write_bytes(header_of(rows) + data)


def folder(path, config, tensors, dtypes=None, **files):
    """A folder with these; `files` are JSON by name without .json. The tokenizer has bytes and a few pieces."""
    path.mkdir(parents=True, exist_ok=True)
    files = {"config": SIZES | config, "tokenizer": tokenizer(), "tokenizer_config": {
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}} | files
    for name, value in files.items():
        if value is not None:
            (path / f"{name}.json").write_text(json.dumps(value))
    safetensors(path / "model.safetensors", tensors, dtypes)
    return path


def tokenizer():
    """A byte-fallback vocabulary, as Llama 2's."""
    special = [{"id": i, "content": WORDS[i], "special": True} for i in range(3)]
    model = {"type": "BPE", "byte_fallback": True, "unk_token": "<unk>", "merges": [["▁", "a"]],
             "vocab": {word: i for i, word in enumerate(WORDS)}}
    return {"added_tokens": special, "model": model}


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def llama(heads=4, kv_heads=4, layers=1, width=64, ff=96):
    """Tensors of a Llama by the names of transformers."""
    dim, found = width // heads, {"model.embed_tokens.weight": normal(1, len(WORDS), width)}
    for i in range(layers):
        at = f"model.layers.{i}."
        found |= {at + f"self_attn.{p}_proj.weight": normal(10 + i, n * dim, width)
                  for p, n in (("q", heads), ("k", kv_heads), ("v", kv_heads))}
        found |= {at + "self_attn.o_proj.weight": normal(20 + i, width, heads * dim),
                  at + "mlp.gate_proj.weight": normal(30 + i, ff, width),
                  at + "mlp.up_proj.weight": normal(31 + i, ff, width),
                  at + "mlp.down_proj.weight": normal(32 + i, width, ff),
                  at + "input_layernorm.weight": normal(33, width),
                  at + "post_attention_layernorm.weight": normal(34, width)}
    return found | {"model.norm.weight": normal(2, width), "lm_head.weight": normal(3, len(WORDS), width)}


LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


def tensors(path):
    """Name to float32 array of a GGUF file."""
    with GGUFFile(path) as file:
        return {name: tensor.numpy() for name, tensor in file.tensors.items()}


def metadata(path):
    """Key to (kind, value) of a GGUF file."""
    with GGUFFile(path) as file:
        return {k: (v.kind, v.value.tolist() if hasattr(v.value, "tolist") else v.value)
                for k, v in file.metadata.typed().items()}
