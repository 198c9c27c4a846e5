"""Vocabularies: the tokenizer files of a folder as the `tokenizer.*` keys of GGUF."""

from dataclasses import dataclass, field

from ...errors import ModelError
from ...vocab.special import CONTROL, NORMAL, UNUSED, USER_DEFINED

__all__ = ["Vocabulary", "read"]


@dataclass
class Vocabulary:
    """`texts` and `types` of all tokens; `scores` or `merges` where the kind has them; `keys`: what else is known.

    `model` is `tokenizer.ggml.model`, `pre` the name of the pre-tokenizer, None where it is still to be recognized.
    `adds_space` before a text, where a SentencePiece model says so. `unused` names rows without a token.
    """

    model: str
    pre: str
    texts: list
    types: list
    scores: list | None = None
    merges: list | None = None
    keys: dict = field(default_factory=dict)
    adds_space: bool | None = None
    unused: str = "[PAD{}]"

    def id(self, text):
        """The id of a token, or None."""
        return self.texts.index(text) if text in self.texts else None

    def pad(self, n):
        """As many tokens as the model has rows: unused ones behind."""
        short = range(len(self.texts), n)
        self.texts += [self.unused.format(i) for i in short]
        self.types += [UNUSED] * len(short)
        if self.scores is not None:
            self.scores += [-10000.0] * len(short)


def read(folder, kinds, config, pre=None):
    """(kind, Vocabulary) of the first of `kinds` that the folder has the files of; ModelError where it has none.

    `pre` is the pre-tokenizer's name where the caller knows better than its files.
    """
    readers = _readers()
    for kind in (*kinds.split(), *FALLBACK):
        found = readers[kind](folder, config, pre)
        if found is not None:
            return kind, found
    raise ModelError("has no tokenizer that is known: tokenizer.json, tokenizer.model, vocab.json with merges.txt, or "
                     "vocab.txt", path=folder.path)


def _readers():
    from . import sentencepiece, tiktoken, tokenizer_json, unigram, wordpiece

    return {
        "sentencepiece": sentencepiece.read,
        "bpe": tokenizer_json.read_bpe,
        "gpt2-class": tokenizer_json.read_if_gpt2,
        "llama": tokenizer_json.read_byte_fallback,
        "pieces": tokenizer_json.read_pieces,
        "gemma4": tokenizer_json.read_gemma4,
        "wordpiece": wordpiece.read,
        "unigram": unigram.read,
        "tiktoken": tiktoken.read,
    }


FALLBACK = ("llama", "bpe", "sentencepiece")
"""Kinds that are looked for where a folder has none of those that its family is used to."""
LOOKS_SPECIAL = ("<pad>", "<mask>", "<2mass>", "[@BOS@]")


def looks_special(text):
    """Whether a token that was added without being called special is one: DeepSeek, Command R and Gemma have such."""
    ends = (("<|", "|>"), ("<｜", "｜>"), ("<unused", ">"))
    return text in LOOKS_SPECIAL or any(text.startswith(a) and text.endswith(b) for a, b in ends)


def added_type(text, special):
    """(text, type) of an added token. Spaces of what is no control token are written plainly."""
    if special or looks_special(text):
        return text, CONTROL
    return text.replace("▁", " "), USER_DEFINED


def from_ids(texts, added):
    """(texts, types) by id: `texts` id to text, `added` id to (text, special). What no id names is unused."""
    n = max([*texts, *added, -1]) + 1
    out, types = [f"[PAD{i}]" for i in range(n)], [UNUSED] * n
    for i, text in texts.items():
        out[i], types[i] = text, NORMAL
    for i, (text, special) in added.items():
        out[i], types[i] = added_type(text, special)
    return out, types
