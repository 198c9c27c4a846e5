"""Goldens: tiny models, and the logits that transformers and llama.cpp give for them.

`transformers` ran the model from which the file was converted, in float32; `llama_cpp` the file itself. Architectures
that transformers does not have stand for themselves, and so do files made by random_models.py.
"""

from functools import cache
from pathlib import Path

import numpy as np

from llama_gguf import Model
from llama_gguf.reference import Reference

FOLDER = Path(__file__).parent.parent / "data" / "goldens"
LLAMA = ("llama", "llama3-rope", "llama-linear-rope", "llama-spm", "mistral")
DENSE = (
    "apertus", "arcee", "baichuan", "baichuan-alibi", "bloom", "cohere2", "command-r", "ernie4_5", "falcon", "gemma",
    "gemma2", "gemma3", "gemma3n", "gemma4", "glm4", "gpt2", "gptneox", "granite", "hunyuan-dense", "internlm2", "mpt",
    "nemotron", "olmo", "olmo2", "phi2", "phi3", "qwen2", "qwen3", "seed_oss", "smollm3", "stablelm", "starcoder",
    "starcoder2", "xverse",
)
RANDOM = ("mamba2", "granitehybrid", "qwen35", "falcon-mamba", "jamba", "nemotron_h", "falcon-h1")
RECURRENT = ("mamba", "lfm2", *RANDOM)  # some layers have no attention
MIXTURES = ("mixtral", "qwen2moe", "qwen3moe", "olmoe", "granitemoe", "gpt-oss", "deepseek2", "deepseek3", "gemma4-moe")
GOLDENS = (*LLAMA, *DENSE, *MIXTURES, *RECURRENT)


def path(name):
    return FOLDER / name / "model.gguf"


@cache
def golden(name):
    """(token ids, {"transformers": logits, "llama_cpp": logits}), the first only where there is such a model."""
    arrays = np.load(FOLDER / name / "golden.npz")
    return arrays["tokens"].tolist(), {k: arrays[k] for k in ("transformers", "llama_cpp") if k in arrays}


def closest(name):
    """Logits in float32 of the nearest relative."""
    logits = golden(name)[1]
    return logits["transformers" if "transformers" in logits else "llama_cpp"]


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
