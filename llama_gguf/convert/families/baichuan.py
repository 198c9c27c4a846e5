"""Baichuan 1 and 2: q, k and v in one matrix; the 13B models have no rope but ALiBi, which no key tells."""

from ..family import Family
from ..keys import COMMON, Fixed
from ..rules import Split, rows
from ..transforms import neighbours
from .parts import TURNED

TENSORS = TURNED | {
    "layers.#.self_attn.W_pack": Split("attn_q attn_k attn_v", rows("width", "width", "width"),
                                       (neighbours("heads"),), (neighbours("kv_heads"),), ()),
}
KEYS = COMMON | {
    ".tensor_data_layout": Fixed("Meta AI original pth"),
    ".rope.dimension_count": lambda c: c.width // c.heads,
}

FAMILIES = (
    Family("baichuan", "BaichuanForCausalLM BaiChuanForCausalLM", TENSORS, KEYS, vocabulary="sentencepiece",
           model_type="baichuan"),
)
