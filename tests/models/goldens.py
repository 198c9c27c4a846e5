"""Goldens: tiny models, and the logits that transformers and llama.cpp give for them.

`transformers` ran the model from which the file was converted, in float32; `llama_cpp` the file itself.
"""

from functools import cache
from pathlib import Path

import numpy as np

from llama_gguf import Model
from llama_gguf.reference import Reference

FOLDER = Path(__file__).parent.parent / "data" / "goldens"
GOLDENS = ("llama", "llama3-rope", "llama-linear-rope", "llama-spm", "mistral", "gemma3", "deepseek2", "deepseek3")


def path(name):
    return FOLDER / name / "model.gguf"


@cache
def golden(name):
    """(token ids, {"transformers": logits, "llama_cpp": logits})"""
    arrays = np.load(FOLDER / name / "golden.npz")
    return arrays["tokens"].tolist(), {k: arrays[k] for k in ("transformers", "llama_cpp")}


def exact(name, **options):
    return Model(path(name), **({"exact": True, "n_threads": 1} | options))


@cache
def reference(name):
    """Logits of the NumPy reference for the golden tokens."""
    with exact(name) as model:
        return Reference(model).logits(golden(name)[0])


def nmse(found, expected):
    """Squared error over squared size."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    return float(((found - expected) ** 2).sum() / (expected**2).sum())
