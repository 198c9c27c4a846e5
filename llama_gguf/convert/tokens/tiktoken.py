"""The tiktoken file of Qwen 1: a rank for each byte string, pairs found out from the ranks."""

from base64 import b64decode
from itertools import pairwise

from ...errors import FormatError
from ...vocab.bpe import byte_chars
from ...vocab.special import CONTROL, NORMAL
from . import Vocabulary

NAME = "qwen.tiktoken"
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{i}|>" for i in range(205)))
"""Tokens behind the ranks, which only the folder's Python file lists: that is never run."""


def read(folder, config, pre):
    if not folder.file(NAME):
        return None
    try:
        pairs = [line.split() for line in folder.text(NAME).splitlines() if line]
        ranks = {b64decode(text): int(rank) for text, rank in pairs}
    except ValueError as error:
        raise FormatError(f"is not a tiktoken file: {error}", path=folder.path / NAME) from None
    letters = byte_chars()
    texts = ["".join(letters[b] for b in raw) for raw in sorted(ranks, key=ranks.get)]
    merges = [" ".join("".join(letters[b] for b in part) for part in pair)
              for pair in (last_pair(ranks, raw) for raw in ranks if len(raw) > 1) if pair]
    types = [NORMAL] * len(texts) + [CONTROL] * len(SPECIAL)
    return Vocabulary("gpt2", pre or "qwen2", [*texts, *SPECIAL], types, merges=merges)


def last_pair(ranks, raw):
    """The two tokens whose joining makes `raw`, joining the pair of the lowest rank first; None if more are left."""
    parts = [bytes([b]) for b in raw]
    while len(parts) > 2:
        found = [(ranks.get(a + b, len(ranks)), i) for i, (a, b) in enumerate(pairwise(parts))]
        rank, i = min(found)
        if rank >= ranks[raw]:
            return None
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts
