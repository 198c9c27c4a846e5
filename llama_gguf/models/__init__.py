"""One file per family; each states the architectures it runs in NAMES, and its forward pass."""

import importlib
import pkgutil
from functools import cache

from ..errors import ModelError


@cache
def registry():
    """Architecture name (`general.architecture`) to model module."""
    found = {}
    for item in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{item.name}")
        found |= dict.fromkeys(module.NAMES, module)
    return found


def find(architecture):
    try:
        return registry()[architecture]
    except KeyError:
        known = ", ".join(sorted(registry()))
        raise ModelError(
            f"architecture {architecture!r} is not one that llama-gguf runs ({known}); "
            "its tensors can still be listed with `llama-gguf info`",
            key="general.architecture",
        ) from None
