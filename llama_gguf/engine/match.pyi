"""Tokenizers that look for whole strings of the vocabulary, and two scans over a text."""

from array import array

from llama_gguf.engine.bpe import Texts

def collapse(data: bytes, classes: bytes) -> bytes: ...

class Beginnings:
    def __init__(self, texts: Texts, wanted: bytes | None = None) -> None: ...

class Finder:
    def __init__(self, texts: Texts) -> None: ...
    def present(self, data: bytes) -> list[int]: ...

class Charsmap:
    blob: bytes

    def __init__(self, blob: bytes) -> None: ...

def greedy(
    texts: Texts, beginnings: Beginnings, data: bytes, unknown: int, whole: bool
) -> list[int]: ...
def normalize(
    data: bytes, charsmap: Charsmap | None, kept: Texts, prefix: bool, merge: bool
) -> bytes: ...
def viterbi(
    texts: Texts,
    beginnings: Beginnings,
    scores: array[float],
    data: bytes,
    unknown: int,
    unknown_score: float,
) -> list[int]: ...
def cover(
    texts: Texts, beginnings: Beginnings, scores: array[float], data: bytes, unknown_score: float
) -> list[tuple[int, int]]: ...
