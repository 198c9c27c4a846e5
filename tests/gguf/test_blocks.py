"""The block microscope: parts, bits and errors of a block of every type."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from llama_gguf.blocks import bits_of
from llama_gguf.blocks.layout import PARTS
from llama_gguf.blocks.twins import TWINS
from llama_gguf.engine.quants import dequantize
from llama_gguf.gguf import BY_ID, GGUFFile, write_gguf
from llama_gguf.testing import random_matrix

QUANTIZED = [kind for kind in BY_ID.values() if kind.is_quantized]


@pytest.mark.parametrize("kind", QUANTIZED, ids=str)
def test_parts_cover_a_block_and_every_bit_of_codes_matters(kind):
    """The described parts are all bytes; turning a bit of another part over changes no code."""
    assert sum(part.bytes for part in PARTS[kind.name]) == kind.bytes
    letters = "".join(part.holds * part.bytes for part in PARTS[kind.name])
    for value in (0, kind.block // 2 + 1, kind.block - 1):
        bits = bits_of(kind.id, value)
        assert bits["code"] and bits["scale"]
        assert all(letters[at] in "qhpsx" for at in bits["code"])
        assert not {letters[at] for at in bits["scale"]} & set("qn")
        assert "minimum" not in bits or {letters[at] for at in bits["minimum"]} <= set("ms")


@pytest.mark.parametrize("kind", QUANTIZED, ids=str)
def test_the_bits_of_a_value_alone_make_it(kind):
    """A value is the same in two blocks that share its bits, whatever the others are."""
    rng, value = np.random.default_rng(kind.id), kind.block // 3
    mask = np.zeros(kind.bytes, np.uint8)
    for masks in bits_of(kind.id, value).values():
        for at, bits in masks.items():
            mask[at] |= bits
    one, two = rng.integers(0, 120, (2, 64, kind.bytes), dtype=np.uint8)
    two = one & mask | two & ~mask
    with np.errstate(all="ignore"):
        a, b = (TWINS[kind.name](x).values()[:, value] for x in (one, two))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", QUANTIZED, ids=str)
def test_a_block_of_any_type_shows_itself(kind, tmp_path):
    rng = np.random.default_rng(kind.id)
    raw = rng.integers(0, 100, (3, 2 * kind.bytes), dtype=np.uint8)
    write_gguf(tmp_path / "q.gguf", {}, [("q", kind.name, (3, 2 * kind.block), raw.tobytes())])
    with GGUFFile(tmp_path / "q.gguf") as file:
        block = file.tensors["q"].block(3)
        assert (block.row, block.columns.start, block.index) == (1, kind.block, 3)
        assert repr(block) == repr(file.tensors["q"].block((1, 1)))
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(block.values, dequantize(raw, kind.id, 2 * kind.block)[1, kind.block :])
        ET.fromstring(block._repr_html_())
        json.dumps(block.to_dict())
        with pytest.raises(IndexError, match="there is no block 6"):
            file.tensors["q"].block(6)


def test_a_block_is_compared_with_the_same_weights_elsewhere(tmp_path):
    rng = np.random.default_rng(5)
    shape, kinds = (4, 512), ("Q8_0", "Q4_K", "F32")
    tensors = {}
    for kind in kinds:
        write_gguf(tmp_path / f"{kind}.gguf", {}, [("w", kind, shape, random_matrix(kind, *shape, rng))])
        tensors[kind] = GGUFFile(tmp_path / f"{kind}.gguf").tensors["w"]
    block = tensors["Q8_0"].block((2, 9), against=[tensors["Q4_K"], tensors["F32"]])
    off = block.values.astype(np.float64) - tensors["F32"].numpy()[2, 288:320]
    told = block.errors()[1]
    assert told["type"] == "F32" and told["rmse"] == pytest.approx(np.sqrt((off**2).mean()))
    assert told["largest"] == np.abs(off).max()
    ET.fromstring(block._repr_html_())
    with pytest.raises(ValueError, match="no same block"):
        write_gguf(tmp_path / "other.gguf", {}, [("w", "F32", (2, 2), np.zeros((2, 2), "<f4"))])
        tensors["Q8_0"].block(0, against=GGUFFile(tmp_path / "other.gguf").tensors["w"])
