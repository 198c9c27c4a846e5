r"""Cuts a text into words by the steps of `pretokenizers`.

As llama.cpp does, patterns with Unicode categories run on a text of one byte per character, in
which ASCII stands for itself and every other character for its category; so Python's `re` is
enough, and fast. Positions count characters everywhere.
"""

import functools
import re
from array import array
from itertools import accumulate

from llama_gguf.vocab import unicode_data

CODES = {"N": 0xD1, "L": 0xD2, "P": 0xD3, "M": 0xD4, "S": 0xD5}
OTHER, HAN_LETTER, HAN_OTHER, VERTICAL_TAB = 0xD0, 0xD6, 0xD7, 0x0B

CLASSES = {
    "N": rb"\xD10-9",
    "L": rb"\xD2A-Za-z",
    "P": rb"\xD3!-#%-*,-/:;?@\[\\\]_{}",
    "M": rb"\xD4",
    "S": rb"\xD5$+<=>^`|~",
    "Upper": rb"\xD2A-Z",
    "Lower": rb"\xD2a-z",
    "UpperM": rb"\xD2\xD4A-Z",
    "LowerM": rb"\xD2\xD4a-z",
    "Han": rb"\xD6",
    "Hun": rb"\xD7",
}
WIDE_SPACES = {c: VERTICAL_TAB for c in unicode_data.WHITESPACE if c > 0x7F}


@functools.cache
def classes(han=False):
    """For each code point the byte that stands for it beyond ASCII, as bytes."""
    other = bytes(CODES.get(chr(i), OTHER) for i in range(256))
    table = bytearray(unicode_data.categories().translate(other))
    for c in WIDE_SPACES:
        table[c] = VERTICAL_TAB
    if han:
        spell = bytes(HAN_LETTER if i == CODES["L"] else HAN_OTHER for i in range(256))
        for first, last in unicode_data.HAN:
            table[first : last + 1] = table[first : last + 1].translate(spell)
    return bytes(table)


@functools.cache
def compiled(pattern):
    r"""A step as (is it for category bytes?, pattern): \p{L} becomes the bytes of that class."""
    if "\\p{" not in pattern:
        return False, re.compile(pattern, re.ASCII)
    out, inside = b"", False
    for token in re.findall(r"\\p\{\w+\}|\\.|.", pattern):
        if token.startswith("\\p{"):
            members = CLASSES[token[3:-1]]
            out += members if inside else b"[" + members + b"]"
            continue
        inside = token == "[" or (inside and token != "]")
        out += token.encode("ascii")
    return True, re.compile(out)


class Words:
    """`Words(steps).split(text)` gives where the words end, counted in characters."""

    def __init__(self, steps):
        self.steps = steps
        self.han = any("Han}" in step for step in steps)

    def split(self, text, ends=None):
        """`ends`: where pieces end that are not to be joined, by default only the text's end."""
        from llama_gguf.engine.match import collapse

        plain = text.isascii()
        raw = text if plain else text.translate(WIDE_SPACES)
        codes = text.encode("utf-8", "surrogatepass")
        if not plain:
            codes = collapse(codes, classes(self.han))
        ends = ends or ([len(text)] if text else [])
        for step in self.steps:
            if step.startswith(":"):
                ends = FUNCTIONS[step](raw, codes, ends)
            else:
                by_code, pattern = compiled(step)
                ends = cut(pattern, codes if by_code else raw, ends)
        return array("i", ends)


def cut(pattern, subject, ends):
    """Ends after cutting each piece at both sides of every match."""
    out, start, find = [], 0, pattern.findall
    for end in ends:
        found = find(subject, start, end) if end - start > 1 else ()
        if not found or len(found[0]) == end - start:
            out.append(end)
        else:
            stops = list(accumulate(map(len, found), initial=start))
            if stops[-1] == end:  # the matches cover the piece: the common case
                out += stops[1:]
            else:
                out += around(pattern, subject, start, end)
        start = end
    return out


def around(pattern, subject, start, end):
    """cut() of one piece where some characters match nothing."""
    stops = []
    for match in pattern.finditer(subject, start, end):
        first, last = match.span()
        if first > start:
            stops.append(first)
        stops.append(last)
        start = last
    if start < end:
        stops.append(end)
    return stops


def thousands(raw, codes, ends):
    """Digits in groups of three from the right; text before a number stays with its first group.

    That attachment is llama.cpp's, and the next step usually undoes it.
    """
    _, digits = compiled(r"\p{N}+")
    out, start = [], 0
    for end in ends:
        for match in digits.finditer(codes, start, end):
            first, last = match.span()
            out += range(first + ((last - first) % 3 or 3), last + 1, 3)
        if not out or out[-1] < end:
            out.append(end)
        start = end
    return out


def threes(raw, codes, ends):
    """Cuts where an ASCII number has a multiple of three digits left."""
    digits = re.compile("[0-9]+")
    out, start = [], 0
    for end in ends:
        for match in digits.finditer(raw, start, end):
            first, last = match.span()
            out += (p for p in range(first + (last - first) % 3, last, 3) if p > start)
        out.append(end)
        start = end
    return out


FUNCTIONS = {":thousands": thousands, ":threes": threes}
