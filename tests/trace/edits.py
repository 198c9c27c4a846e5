"""What the references of make_references.py and the tests against them have in common."""

import numpy as np

NAMES = ("llama", "qwen3", "gemma2", "gemma3", "gpt2", "gptneox", "phi2", "bloom", "falcon", "mixtral")
TOKENS, PROMPT, DECODED = 20, 12, 15  # more than the windows of 16 that some have
ROW, ADDED = 5, 2.0


def ids(n_vocab):
    return np.random.default_rng(7).integers(3, min(n_vocab, 256), TOKENS).tolist()


def direction(width):
    """A vector to add to a residual."""
    return np.random.default_rng(8).standard_normal(width).astype(np.float32)
