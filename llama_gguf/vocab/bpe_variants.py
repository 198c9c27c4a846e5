"""Byte pair encoding with something before it: `tokenizer.ggml.model` = whitespace, hybriddna."""

import re
from itertools import accumulate

from llama_gguf.vocab import unicode_data
from llama_gguf.vocab.bpe import BytePairs
from llama_gguf.vocab.special import PREFIX

SPACES = "".join(map(chr, unicode_data.WHITESPACE))


class SpaceSeparated(BytePairs):
    """White space only separates: it is in no token. Letters may be made small."""

    def __init__(self, metadata, texts, special, name):
        super().__init__(metadata, texts, special, name)
        self.lower = metadata.bool(PREFIX + "normalizer.lowercase", name != "whitespace")

    def encode(self, text, after_special):
        words = [word for word in re.split(f"[{SPACES}]+", text) if word]
        text = "".join(words)
        if self.lower:
            text = "".join(c.lower()[0] for c in text)
        ends = self.words.split(text, list(accumulate(map(len, words))))
        return self.merger.encode(text.encode("utf-8", "surrogatepass"), ends)


class HybridDna(BytePairs):
    """Inside <dna>...</dna> six bases are a token, the last ones filled up with A."""

    MARKER, K = "\ue000".encode(), 6   # keeps CCCCCC the bases apart from CCCCCC the text

    def __init__(self, metadata, texts, special, name):
        super().__init__(metadata, texts, special, name)
        self.open, self.close, self.oov = (
            texts.find(text) for text in (b"<dna>", b"</dna>", b"<oov>"))

    def encode(self, text, after_special):
        if min(self.open, self.close, self.oov) < 0:
            return super().encode(text, after_special)
        out = []
        while text:
            before, opened, text = text.partition("<dna>")
            if before:
                out += super().encode(before, after_special)
            if opened:
                bases, closed, text = text.partition("</dna>")
                out += [self.open, *self.kmers(bases), *([self.close] if closed else [])]
        return out

    def kmers(self, bases):
        bases = bases.encode("utf-8", "surrogatepass").upper()
        for start in range(0, len(bases), self.K):
            kmer = bases[start : start + self.K].ljust(self.K, b"A")
            found = self.texts.find(kmer + self.MARKER)
            yield found if found >= 0 else self.oov

    def piece(self, i):
        text = self.texts[i]
        return text[: -len(self.MARKER)] if text.endswith(self.MARKER) else super().piece(i)
