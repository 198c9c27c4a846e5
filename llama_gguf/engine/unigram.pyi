"""Unigram language models: SentencePiece's normalization, and the best way to cover a text."""

from array import array

from llama_gguf.engine.match import Beginnings
from llama_gguf.engine.texts import Texts

class Charsmap:
    blob: bytes

    def __init__(self, blob: bytes) -> None: ...

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
) -> list[int]: ...
