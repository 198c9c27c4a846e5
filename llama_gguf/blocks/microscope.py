"""One block of a quantized tensor, taken apart: scales, minimums, codes and values."""

import numpy as np

from llama_gguf.blocks.twins import TWINS
from llama_gguf.errors import FormatError
from llama_gguf.gguf.types import BY_ID, explain_unknown


def checked(type_id):
    """The quantized type of this id, or FormatError."""
    kind = BY_ID.get(type_id)
    if kind is None:
        raise FormatError(f"no block of {explain_unknown(type_id)}")
    if not kind.is_quantized:
        raise FormatError(f"{kind} is not quantized: its values stand in the file as they are")
    return kind


def block_fields(raw_block, type_id):
    """The parts of one block: value = scale * code + minimum, group by group, in float32.

    `raw_block` is bytes or uint8, exactly one block. The answer has `type`, `group` (values that
    share a scale), `scale` and `minimum` (float32, one per group; minimum None where the type has
    none), `codes` (integers, one per value: signed, and points of the codebook for IQ types, in
    eighths for IQ1) and `values` (float32).
    """
    kind = checked(type_id)
    block = np.frombuffer(bytes(raw_block), dtype=np.uint8)
    if len(block) != kind.bytes:
        raise FormatError(f"a block of {kind} has {kind.bytes} bytes, not {len(block)}")
    with np.errstate(all="ignore"):
        fields = TWINS[kind.name](block[None])
        values = fields.values()[0]
    groups, size = fields.code.shape[1:]
    return {
        "type": kind.name,
        "group": size,
        "scale": per_group(fields.scale, groups),
        "minimum": None if fields.minimum is None else per_group(fields.minimum, groups),
        "codes": fields.code.reshape(-1),
        "values": values,
    }


def per_group(numbers, groups):
    return np.broadcast_to(numbers[0, :, 0], (groups,)).copy()
