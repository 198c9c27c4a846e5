"""WordPiece: `tokenizer.ggml.model` = bert. Words, each of the longest pieces from the left."""

import re
import unicodedata

from llama_gguf.vocab import unicode_data
from llama_gguf.vocab.special import PREFIX
from llama_gguf.vocab.spm import piece

CHINESE = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
           (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
"""As Hugging Face's BertNormalizer has it, the hole before U+2B920 included."""

ODD = re.compile(r"[^ -~\t\n\r]+")
WORD = re.compile(r"[^ \t\n\r!-/:-@\[-`{-~]+|[!-/:-@\[-`{-~]")


class Spelling(dict):
    """What characters become by their code points, as str.translate asks for it, each found out once."""

    def __init__(self, normalized):
        self.normalized = normalized

    def __missing__(self, c):
        self[c] = self.normalized(c)
        return self[c]


class WordPieces:
    """A text is normalized character by character and cut at white space and punctuation.

    A word starts with "▁" in the vocabulary; one that its pieces do not cover is unknown.
    """

    add_bos, add_eos, add_space_prefix = True, False, False

    def __init__(self, metadata, texts, special, name):
        from llama_gguf.engine.match import Beginnings

        self.beginnings = Beginnings(texts)
        self.texts, self.kinds, self.unk = texts, special.kinds, special.ids["unk"]
        self.lower = metadata.bool(PREFIX + "normalizer.lowercase", True)
        self.strip = metadata.bool(PREFIX + "normalizer.strip_accents", self.lower)
        self.spelling = Spelling(self.normalized)

    def frame(self, tokenizer):
        """[CLS] and [SEP], whatever the flags of the file say."""
        ends = tokenizer.bos, tokenizer.sep
        return tuple([i] if i is not None else [] for i in ends)

    def encode(self, text, after_special):
        from llama_gguf.engine.match import word_pieces

        data = self.normalize(text).encode("utf-8", "surrogatepass")
        return word_pieces(self.texts, self.beginnings, data, -1 if self.unk is None else self.unk)

    def normalize(self, text):
        """ASCII, most of most texts, needs no table: only its case may change."""
        text = ODD.sub(lambda found: found[0].translate(self.spelling), text)
        return text.lower() if self.lower else text

    def split(self, text):
        """The words of a text, normalized."""
        return WORD.findall(self.normalize(text))

    def normalized(self, code_point):
        """What a character becomes: "" if it is dropped, spaces around it if it is a word."""
        char = chr(code_point)
        if self.strip:
            char = unicodedata.normalize("NFD", char)[0]
        c, category = ord(char), chr(unicode_data.categories()[ord(char)])
        if c in unicode_data.WHITESPACE:
            return " "
        if c in (0, 0xFFFD) or category == "C" or (self.strip and category == "M"):
            return ""
        shown = char.lower()[0] if self.lower else char
        alone = category == "P" or (c < 0x7F and category == "S")
        alone = alone or any(first <= c <= last for first, last in CHINESE)
        return f" {shown} " if alone else shown

    def piece(self, i):
        return piece(self.texts[i], self.kinds[i])
