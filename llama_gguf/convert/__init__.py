"""Hugging Face model folders to GGUF and back, without torch, transformers or anything that a folder could run.

    from llama_gguf.convert import convert, export
    convert("SmolLM2-135M", "smollm2.gguf")           # BF16 stays BF16
    export("smollm2.gguf", "folder")                  # config.json, tokenizer.json, model.safetensors

What a family needs is a table: see families/, rules.py (tensors) and keys.py (hyperparameters); docs/converting.md
tells the whole story.
"""

from .conversion import Conversion, convert
from .export import Export, export
from .shards import resplit

__all__ = ["Conversion", "Export", "convert", "export", "resplit"]
