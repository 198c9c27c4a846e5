"""Vocabularies found by bytes, and the merge loop that byte pair encoding and SPM share."""

from array import array
from collections.abc import Sequence

class Texts:
    count: int
    distinct: int
    longest: int
    empty: int

    def __init__(self, packed: bytes, count: int) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, i: int) -> bytes: ...
    def find(self, text: bytes) -> int: ...

class Merger:
    n_tokens: int

    def set_fallback(self, rows: list[list[int]]) -> None: ...
    def encode(self, data: bytes, ends: array[int]) -> list[int]: ...

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

class Spm(Merger):
    def __init__(self, texts: Texts, scores: Sequence[float]) -> None: ...
    def encode_text(self, data: bytes) -> list[int]: ...
