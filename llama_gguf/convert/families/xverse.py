"""XVERSE: Llama under another name."""

from ..family import Family
from ..keys import COMMON, Fixed
from .parts import TURNED

KEYS = COMMON | {
    ".tensor_data_layout": Fixed("Meta AI original pth"),
    ".rope.dimension_count": lambda c: c.width // c.heads,
}

FAMILIES = (
    Family("xverse", "XverseForCausalLM", TURNED, KEYS, vocabulary="pieces sentencepiece", model_type="xverse"),
)
