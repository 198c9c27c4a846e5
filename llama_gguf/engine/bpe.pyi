"""Byte pair encoding: the pairs of a vocabulary and in which order they merge."""

from llama_gguf.engine.merge import Merger
from llama_gguf.engine.texts import Texts

class Bpe(Merger):
    n_merges: int
    strays: int
    longest_stray: int

    def __init__(
        self,
        texts: Texts,
        merges: bytes,
        count: int,
        byte_text: list[bytes] | None = None,
        ignore_merges: bool = False,
        join_newlines: bool = False,
    ) -> None: ...
    def rank(self, left: bytes, right: bytes) -> int | None: ...
