"""EXAONE 3, Pangu Embedded, OpenELM, and the text parts of Qwen 2 VL, 3 VL and PaddleOCR-VL: as Qwen but for a name.

Qwen VL's positions have sections for time, height and width of pictures; in a text all three are the same, and nothing
is added to the first layers. EXAONE may have divided frequencies, as Llama 3.1 has; OpenELM's layers have heads and
widths of their own (arXiv 2412.04862, 2505.22375, 2404.14619, 2409.12191).
"""

from ..rope import sections
from .qwen import block, head, rank

NAMES = ("exaone", "pangu-embedded", "openelm", "paddleocr", "qwen2vl", "qwen3vl")

__all__ = ["NAMES", "block", "head", "hparams", "rank"]


def hparams(meta):
    sections(meta)
    return {"rope": "neox", "ranked_by": "last"}
