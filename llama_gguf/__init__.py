"""The GGUF engine you can see through: run and inspect GGUF language models."""

import importlib

from llama_gguf.errors import (
    ContextOverflow,
    FormatError,
    HubUnreachable,
    LlamaGGUFError,
    ModelError,
    NameNotFound,
    OutOfMemory,
    TemplateError,
)

__version__ = "0.1.0"
__all__ = [
    "ContextOverflow",
    "FormatError",
    "GGUFFile",
    "HubUnreachable",
    "LlamaGGUFError",
    "Model",
    "ModelError",
    "NameNotFound",
    "OutOfMemory",
    "TemplateError",
    "__version__",
]
LAZY = {"Model": "llama_gguf.model", "GGUFFile": "llama_gguf.gguf"}


def __getattr__(name):
    """Names that need NumPy or the engine are imported when first used (PEP 562)."""
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(LAZY[name]), name)


def __dir__():
    return sorted(__all__)


def load_ipython_extension(shell):
    """What `%load_ext llama_gguf` calls: %gguf and %%gguf; see llama_gguf.ipython."""
    from llama_gguf.ipython import GGUFMagics

    shell.register_magics(GGUFMagics)
