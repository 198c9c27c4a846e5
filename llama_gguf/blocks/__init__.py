"""Quantized blocks from outside the engine: the NumPy twins of its kernels, and the microscope."""

from llama_gguf.blocks.bits import bits_of
from llama_gguf.blocks.block import Block
from llama_gguf.blocks.microscope import block_fields

__all__ = ["Block", "bits_of", "block_fields"]
