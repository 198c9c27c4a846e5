"""Tiktoken files of Qwen 1 and StableLM 2: a rank for each byte string, pairs found out from the ranks."""

from base64 import b64decode

from ...errors import FormatError
from ...vocab.bpe import byte_chars
from ...vocab.special import CONTROL, NORMAL
from . import Vocabulary

NAMES = ("qwen.tiktoken", "arcade100k.tiktoken")
SPECIAL = {
    "qwen.tiktoken": ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{i}|>" for i in range(205))),
    "arcade100k.tiktoken": ("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
                            "<gh_stars>", "<filename>", "<issue_start>", "<issue_comment>", "<issue_closed>",
                            "<jupyter_start>", "<jupyter_text>", "<jupyter_code>", "<jupyter_output>",
                            "<empty_output>", "<commit_before>", "<commit_msg>", "<commit_after>", "<reponame>"),
}
"""Tokens behind the ranks, which the folder's Python file would list: that is never run."""


def read(folder, config, pre):
    name = next((name for name in NAMES if folder.file(name)), None)
    if name is None:
        return None
    try:
        pairs = [line.split() for line in folder.text(name).splitlines() if line]
        ranks = {b64decode(text): int(rank) for text, rank in pairs}
    except ValueError as error:
        raise FormatError(f"is not a tiktoken file: {error}", path=folder.path / name) from None
    letters = byte_chars()
    texts = ["".join(letters[b] for b in raw) for raw in sorted(ranks, key=ranks.get)]
    merges = [" ".join("".join(letters[b] for b in part) for part in pair)
              for pair in (last_pair(ranks, raw) for raw in ranks if len(raw) > 1) if pair]
    special = SPECIAL[name]
    return Vocabulary("gpt2", pre or "qwen2", texts + list(special), [NORMAL] * len(texts) + [CONTROL] * len(special),
                      merges=merges)


def last_pair(ranks, raw):
    """The two tokens whose joining makes `raw`, joining the pair of the lowest rank first; None if more are left."""
    parts = [bytes([b]) for b in raw]
    while len(parts) > 2:
        found = [(ranks.get(a + b, len(ranks)), i) for i, (a, b) in enumerate(zip(parts, parts[1:], strict=False))]
        rank, i = min(found)
        if rank >= ranks[raw]:
            return None
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts
