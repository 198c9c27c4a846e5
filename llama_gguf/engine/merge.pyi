"""The merge loop that byte pair encoding and SentencePiece share, and SentencePiece itself."""

from array import array
from collections.abc import Sequence

from llama_gguf.engine.texts import Texts

class Merger:
    n_tokens: int

    def set_fallback(self, rows: list[list[int]]) -> None: ...
    def encode(self, data: bytes, ends: array[int]) -> list[int]: ...

class Spm(Merger):
    def __init__(self, texts: Texts, scores: Sequence[float]) -> None: ...
    def encode_text(self, data: bytes) -> list[int]: ...
