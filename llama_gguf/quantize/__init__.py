"""Quantizing: types for each tensor (recipes), how much columns matter (importance matrices), whole files.

    quantize_file("model-f16.gguf", "model.gguf", "Q4_K_M", Imatrix.load("imatrix.gguf"))

Blocks are taken apart in `llama_gguf.blocks`.
"""

from llama_gguf.quantize.files import quantize_file
from llama_gguf.quantize.filetypes import FILE_TYPES
from llama_gguf.quantize.imatrix import Imatrix
from llama_gguf.quantize.plan import plan_file
from llama_gguf.quantize.recipes import Recipe

__all__ = ["FILE_TYPES", "Imatrix", "Recipe", "plan_file", "quantize_file"]
