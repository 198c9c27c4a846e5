"""A task: one record of a plan, with the buffers that it reads and makes by their keys."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Laid(NamedTuple):
    """A tensor whose numbers a kernel wants in another order."""

    tensor: object
    layout: object  # a function of the array


@dataclass
class Task:
    kind: str
    name: str
    width: int
    wanted: bool = False
    dst: tuple = None
    sources: dict = field(default_factory=dict)  # a, b, c, raw: key; of a view with the column where it begins
    q: tuple = None
    n: tuple = ()
    f: tuple = ()
    weight: object = None  # Weight of a matmul, a norm or a table
    other: object = None  # Weight of up, where `weight` is gate
    vectors: dict = field(default_factory=dict)  # gain, bias: a Weight, (tensor, layout), or numbers
    layer: int = None  # whose cache it uses
    writes_cache: bool = False
    state: str | None = None  # of each sequence, that it reads and changes
    terms: int = 1  # 8-bit rows for one row of activations, made or read
    frequencies: object = None
    where: str = ""
    barrier: bool = True

    def reads(self):
        keys = [key[:2] for key in self.sources.values()]
        if self.layer is not None and not self.writes_cache:
            keys.append(("cache", self.layer))
        return keys + [("parts",)] * (self.kind == "merge")

    def writes(self):
        keys = [k for k in (self.dst, self.q) if k]
        if self.writes_cache:
            keys.append(("cache", self.layer))
        return keys + [("parts",)] * (self.kind == "attend")
