"""Quantized blocks, taken apart and made; the NumPy twins of the kernels that read them are in `llama_gguf.blocks`."""

from llama_gguf.blocks import block_fields

__all__ = ["block_fields"]
