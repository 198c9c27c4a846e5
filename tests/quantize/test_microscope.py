"""The block microscope shows the numbers that the engine computes with."""

import numpy as np
import pytest

from llama_gguf.blocks import block_fields
from llama_gguf.engine.quants import dequantize
from llama_gguf.errors import FormatError
from llama_gguf.gguf.types import BY_ID

QUANTIZED = [kind for kind in BY_ID.values() if kind.is_quantized]


@pytest.mark.parametrize("kind", QUANTIZED, ids=str)
def test_fields_make_up_the_values(kind):
    block = np.random.default_rng(kind.id).integers(0, 100, kind.bytes, dtype=np.uint8)
    seen = block_fields(block.tobytes(), kind.id)
    n_groups = kind.block // seen["group"]
    assert seen["scale"].shape == (n_groups,)
    assert seen["codes"].shape == seen["values"].shape == (kind.block,)
    assert np.issubdtype(seen["codes"].dtype, np.integer)
    with np.errstate(all="ignore"):
        values = np.repeat(seen["scale"], seen["group"]) * seen["codes"].astype(np.float32)
    if seen["minimum"] is not None:
        values += np.repeat(seen["minimum"], seen["group"])
    np.testing.assert_array_equal(values, seen["values"])
    np.testing.assert_array_equal(values, dequantize(block[None], kind.id, kind.block)[0])


def test_a_block_of_q4_k_is_taken_apart():
    block = b"\x00\x40\x00\x3c" + b"\x03" * 12 + b"\x51" * 128  # d 2, dmin 1, all sixes 3
    seen = block_fields(block, 12)
    assert seen["type"] == "Q4_K" and seen["group"] == 32
    assert seen["scale"].tolist() == [6] * 8
    assert seen["minimum"].tolist() == [-3] * 4 + [0] * 4
    assert seen["codes"].tolist() == ([1] * 32 + [5] * 32) * 4
    assert seen["values"][:2].tolist() == [3, 3] and seen["values"][33] == 27


@pytest.mark.parametrize(
    ("block", "type_id"), [(bytes(17), 2), (bytes(36), 2), (b"", 2), (bytes(4), 0), (bytes(18), 4)]
)
def test_what_is_no_block_is_refused(block, type_id):
    with pytest.raises(FormatError):
        block_fields(block, type_id)
