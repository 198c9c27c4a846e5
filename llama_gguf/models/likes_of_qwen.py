"""EXAONE 3, Pangu Embedded, and the language models of Qwen 2 VL and 3 VL: as Qwen, and a name of their own.

Qwen VL's positions have sections for time, height and width of pictures; in a text all three are the same, and nothing
is added to the first layers. EXAONE may have divided frequencies, as Llama 3.1 has (arXiv 2412.04862, 2505.22375,
2409.12191).
"""

from ..rope import sections
from .qwen import block, head, rank

NAMES = ("exaone", "pangu-embedded", "qwen2vl", "qwen3vl")

__all__ = ["NAMES", "block", "head", "hparams", "rank"]


def hparams(meta):
    sections(meta)
    return {"rope": "neox", "ranked_by": "last"}
