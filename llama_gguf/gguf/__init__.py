"""GGUF files: reading without copies, writing whole or not at all, the table of tensor types.

Nothing here imports NumPy before values of a tensor or array are asked for.
"""

from llama_gguf.gguf.atomic import replacing
from llama_gguf.gguf.metadata import REQUIRED, Metadata
from llama_gguf.gguf.reader import GGUFFile
from llama_gguf.gguf.tensor import Tensor
from llama_gguf.gguf.tensors import Tensors
from llama_gguf.gguf.types import BY_ID, ROLES, TYPES, TensorType
from llama_gguf.gguf.values import LazyArray, Typed
from llama_gguf.gguf.writer import GGUFWriter, write_gguf

__all__ = [
    "BY_ID",
    "REQUIRED",
    "ROLES",
    "TYPES",
    "GGUFFile",
    "GGUFWriter",
    "LazyArray",
    "Metadata",
    "Tensor",
    "TensorType",
    "Tensors",
    "Typed",
    "replacing",
    "write_gguf",
]
