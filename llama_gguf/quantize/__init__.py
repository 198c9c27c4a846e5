"""Quantized blocks from outside the engine: the NumPy twins of its kernels, and the microscope."""

from llama_gguf.quantize.microscope import block_fields

__all__ = ["block_fields"]
