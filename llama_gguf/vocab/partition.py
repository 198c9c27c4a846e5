"""Cuts special tokens out of a text before anything else looks at it.

llama.cpp takes the longest special token first, everywhere in the text, then the next longest;
so that order decides, not the position. Most texts hold none: one scan finds which there are.
"""

import struct

SPACES = " \t\n\v\f\r"


class Partition:
    """Special tokens by falling length; `lstrip`, `rstrip`: ids that swallow white space."""

    def __init__(self, texts, special, lstrip=frozenset(), rstrip=frozenset()):
        self.lstrip, self.rstrip = lstrip, rstrip
        kinds = special.kinds
        rows = {}
        for i in special.partition_ids():
            if texts[i]:
                rows.setdefault(texts[i], i)
        ordered = sorted(rows.items(), key=lambda row: (-len(row[0]), row[1]))
        self.texts = [text for text, _ in ordered]
        self.ids = [i for _, i in ordered]
        self.plain = [kinds[i] == 4 for i in self.ids]  # user-defined: found without asking
        self._finder = None

    @property
    def finder(self):
        if self._finder is None:
            from llama_gguf.engine.match import Finder
            from llama_gguf.engine.texts import Texts

            packed = b"".join(struct.pack("<Q", len(text)) + text for text in self.texts)
            self._finder = Finder(Texts(packed, len(self.texts)))
        return self._finder

    def split(self, text, special=True):
        """The text as a list of str and ids; `special=False` leaves control tokens as text."""
        parts = [text] if text else []
        if not self.ids or not parts:
            return parts
        for k in self.finder.present(text.encode("utf-8", "surrogatepass")):
            if special or self.plain[k]:
                mark = self.texts[k].decode("utf-8", "surrogateescape")
                parts = [
                    piece
                    for part in parts
                    for piece in (self.cut(part, mark, k) if isinstance(part, str) else (part,))
                ]
        return parts

    def cut(self, part, mark, k):
        """One stretch of text, cut at every `mark`."""
        token, out, start = self.ids[k], [], 0
        while (at := part.find(mark, start)) >= 0:
            left = part[start:at]
            if token in self.lstrip:
                left = left.rstrip(SPACES)
            if left:
                out.append(left)
            out.append(token)
            start = at + len(mark)
            if token in self.rstrip:
                while start < len(part) and part[start] in SPACES:
                    start += 1
        if start < len(part):
            out.append(part[start:])
        return out
