"""Byte pair encoding: `tokenizer.ggml.model` = gpt2, gemma4 and what llama.cpp treats as such."""

import functools
import warnings
from array import array
from itertools import accumulate

from llama_gguf.gguf.metadata import REQUIRED
from llama_gguf.vocab import pretokenizers
from llama_gguf.vocab.special import BYTE, NORMAL, PREFIX, UNUSED, byte_piece
from llama_gguf.vocab.words import Words

UNDEFINED = 0
GEMMA4 = ("gemma4", "granite-embed-multi-311m")


@functools.cache
def byte_chars():
    """The character that GPT-2's vocabulary writes for each byte, by byte."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = (b for b in range(256) if b not in shown)
    return {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}


@functools.cache
def char_bytes():
    """byte_chars() the other way round; what is no such character stands for its own UTF-8."""
    return {char: bytes([b]) for b, char in byte_chars().items()}


def byte_names():
    """The texts of byte tokens in vocabularies of plain UTF-8: <0x00> to <0xFF>."""
    return [b"<0x%02X>" % b for b in range(256)]


class BytePairs:
    """Words by pattern, then merges by rank; see `pretokenizers.Pre` for the switches."""

    add_bos = add_eos = add_space_prefix = always_bos = False

    @staticmethod
    def no_bos(name):
        return name in pretokenizers.BY_NAME and pretokenizers.BY_NAME[name].no_bos

    @staticmethod
    def check_pre(metadata, name):
        """ModelError for a word pattern that is unknown, where a warning is not enough."""
        if name and name not in pretokenizers.BY_NAME:
            raise metadata.error(PREFIX + "pre", f"is {name!r}, which is unknown")

    def __init__(self, metadata, texts, special, name):
        from llama_gguf.engine.bpe import Bpe

        self.name, self.pre = name, find_pre(name)
        self.add_bos = self.pre.add_bos
        self.texts, self.kinds = texts, special.kinds
        merges = metadata.array(PREFIX + "merges", "str", () if name == "kimi-k2" else REQUIRED)
        packed = bytes(merges.tobytes()) if len(merges) else b""
        longest = texts.longest
        spelling = [byte_chars()[b].encode() for b in range(256)] if self.pre.byte_level else None
        self.merger = Bpe(texts, packed, len(merges), spelling,
                          ignore_merges=self.pre.ignore_merges,
                          join_newlines=name in (*GEMMA4, "mmbert"))
        self.always_bos = name in GEMMA4  # published files say otherwise by mistake
        if self.merger.longest_stray > longest:
            raise metadata.error(
                PREFIX + "merges", f"make a text of {self.merger.longest_stray} bytes, but the "
                f"longest token has {longest}: they belong to another vocabulary")
        self.merger.set_fallback(self.fallback(spelling))
        self.words = Words(self.pre.steps)

    def fallback(self, spelling):
        """Ids for each byte that ends up in no token; llama.cpp drops a byte without any."""
        if spelling is None:
            rows = [[self.texts.find(name)] for name in byte_names()]
        else:
            rows = [[self.texts.find(bytes([b])) for b in text] for text in spelling]
            lost = sum(self.texts.find(spelling[b]) < 0 for b in range(0x20, 0x7F))
            if lost:
                warnings.warn(f"{lost} of the 95 printable ASCII characters are in no token: "
                              "they will be lost when text is tokenized", stacklevel=5)
        return [[i for i in row if 0 <= i < self.merger.n_tokens] for row in rows]

    def encode(self, text, after_special):
        if self.pre.escape_spaces:
            text = text.replace(" ", "▁")
        ends = self.words.split(text)
        if self.name == "mmbert":
            text, ends = metaspaced(text, ends)
        return self.merger.encode(text.encode("utf-8", "surrogatepass"), ends)

    def piece(self, i):
        text, kind = self.texts[i], self.kinds[i]
        if kind not in (NORMAL, UNUSED, UNDEFINED, BYTE):
            return text
        if kind == BYTE:
            return byte_piece(text)
        if self.pre.escape_spaces:
            return text.replace("▁".encode(), b" ")
        if not self.pre.byte_level:
            return text
        known = char_bytes()
        return b"".join(known.get(c) or c.encode("utf-8", "surrogateescape")
                        for c in text.decode("utf-8", "surrogateescape"))


def find_pre(name):
    """The row of the table, or the default row with a warning."""
    if name in pretokenizers.BY_NAME:
        return pretokenizers.BY_NAME[name]
    what = f"is {name!r}, which is unknown" if name else "is missing"
    warnings.warn(f"{PREFIX}pre {what}: text is cut into words by the default pattern, so some "
                  "tokens will differ from those the model was trained on", stacklevel=5)
    return pretokenizers.DEFAULT


def metaspaced(text, ends):
    """mmBERT: every line starts with "▁" and every "▁" starts a word."""
    words, start = [], 0
    for end in ends:
        word = text[start:end]
        start = end
        if not word.strip("\n"):
            words.append(word)
            continue
        word = word if word.startswith("▁") else "▁" + word
        words += ("▁" + part for part in word[1:].split("▁"))
    return "".join(words), ends_of(words)


def ends_of(words):
    """Where words that lie side by side end."""
    return array("i", accumulate(map(len, words)))
