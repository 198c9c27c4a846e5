"""WordPiece: `tokenizer.ggml.model` = bert. Words, each of the longest pieces from the left."""

import unicodedata

from llama_gguf.vocab import unicode_data
from llama_gguf.vocab.special import PREFIX
from llama_gguf.vocab.spm import piece

CHINESE = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
           (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
"""As Hugging Face's BertNormalizer has it, the hole before U+2B920 included."""

MAX_CACHED = 1 << 16


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
        self.spelling, self.words = {}, {}

    def frame(self, tokenizer):
        """[CLS] and [SEP], whatever the flags of the file say."""
        ends = tokenizer.bos, tokenizer.sep
        return tuple([i] if i is not None else [] for i in ends)

    def encode(self, text, after_special):
        for char in set(text).difference(map(chr, self.spelling)):
            self.spelling[ord(char)] = self.normalized(char)
        out = []
        for word in text.translate(self.spelling).split(" "):
            if word:
                out += self.words.get(word) or self.pieces(word)
        return out

    def pieces(self, word):
        from llama_gguf.engine.match import greedy

        data = "▁".encode() + word.encode("utf-8", "surrogatepass")
        ids = greedy(self.texts, self.beginnings, data, -1 if self.unk is None else self.unk, True)
        if len(self.words) > MAX_CACHED:
            self.words.clear()
        if len(word) < 64:
            self.words[word] = ids
        return ids

    def normalized(self, char):
        """What a character becomes: "" if it is dropped, spaces around it if it is a word."""
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
