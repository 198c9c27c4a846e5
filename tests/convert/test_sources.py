"""8-bit floats and MXFP4 against gguf-py and plain loops; BF16 against the definition."""

import gguf
import numpy as np
import pytest

from llama_gguf.convert import convert
from llama_gguf.convert.dtypes import to_bf16, to_float32
from llama_gguf.convert.safetensors import open_file
from llama_gguf.convert.sources import Mxfp4
from llama_gguf.errors import ModelError
from llama_gguf.gguf import GGUFFile

from .folders import LLAMA, folder, llama, normal, safetensors, tensors

BLOCK = 32


@pytest.mark.parametrize(("dtype", "codes", "expected"), [
    ("F8_E4M3", [0x00, 0x01, 0x08, 0x38, 0x3C, 0x7E, 0xB8], [0, 2.0**-9, 2.0**-6, 1, 1.5, 448, -1]),
    ("F8_E5M2", [0x00, 0x01, 0x04, 0x3C, 0x3E, 0x7B, 0xBC, 0x7C], [0, 2.0**-16, 2.0**-14, 1, 1.5, 57344, -1, np.inf]),
    ("F8_E8M0", [127, 128, 126, 0], [1, 2, 0.5, 2.0**-127]),
])
def test_eight_bit_floats(dtype, codes, expected):
    """Numbers of the OCP 8-bit floating point specification."""
    assert to_float32(np.array(codes, np.uint8), dtype).tolist() == expected


def test_bf16_rounds_as_gguf_py_does():
    x = np.concatenate((normal(0, 1000), [np.inf, -np.inf, np.nan, 0, -0.0, 3e38, 1e-40])).astype(np.float32)
    theirs = gguf.quants.quantize(x.reshape(1, -1), gguf.GGMLQuantizationType.BF16)
    assert to_bf16(x).tobytes() == theirs.tobytes()


def test_blocks_of_eight_bit_floats_have_their_scales_back(tmp_path):
    source, dtypes = llama(), {}
    name = "model.layers.0.mlp.up_proj.weight"  # (96, 64)
    codes = np.random.default_rng(0).integers(0, 0x7E, (96, 64), np.uint8)
    source[name], source[name + "_scale_inv"] = codes, normal(1, 3, 2)
    dtypes[name] = "F8_E4M3"
    config = LLAMA | {"quantization_config": {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK]}}
    convert(folder(tmp_path / "m", config, source, dtypes), tmp_path / "m.gguf", "F32")
    made, plain = tensors(tmp_path / "m.gguf")["blk.0.ffn_up.weight"], to_float32(codes, "F8_E4M3")
    for row in (0, 31, 32, 95):
        for col in (0, 31, 32, 63):
            assert made[row, col] == plain[row, col] * source[name + "_scale_inv"][row // BLOCK, col // BLOCK]


@pytest.mark.parametrize("shape", [(2, 2), (95,)])
def test_scales_of_another_shape_are_refused(shape, tmp_path):
    source, name = llama(), "model.layers.0.mlp.up_proj.weight"
    source[name], source[name + "_scale_inv"] = np.zeros((96, 64), np.uint8), normal(1, *shape)
    config = LLAMA | {"quantization_config": {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK]}}
    with pytest.raises(ModelError, match="_scale_inv has the shape"):
        convert(folder(tmp_path / "m", config, source, {name: "F8_E4M3"}), tmp_path / "m.gguf")


def test_mxfp4_blocks_hold_the_same_numbers(tmp_path):
    """Two numbers a byte, neighbours there; gguf-py reads what we make of them."""
    rng = np.random.default_rng(0)
    blocks, scales = rng.integers(0, 256, (2, 3, 4, 16), np.uint8), rng.integers(120, 130, (2, 3, 4), np.uint8)
    safetensors(tmp_path / "x", {"a_blocks": blocks, "a_scales": scales})
    stored = open_file(tmp_path / "x")
    made = Mxfp4("a", stored["a_blocks"], stored["a_scales"]).array()
    values = gguf.quants.dequantize(made, gguf.GGMLQuantizationType.MXFP4).reshape(2, 3, 4, 32)
    points = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]
    for expert, row, block, i in ((0, 0, 0, 0), (1, 2, 3, 15), (0, 1, 2, 7)):
        scale = 2.0 ** (int(scales[expert, row, block]) - 127)
        byte = int(blocks[expert, row, block, i])
        assert values[expert, row, block, 2 * i] == points[byte & 15] * scale
        assert values[expert, row, block, 2 * i + 1] == points[byte >> 4] * scale


@pytest.mark.parametrize("given", [{"quant_method": "gptq"}, {"quant_method": "awq"}, {"quant_method": "bitsandbytes"},
                                   {"quant_method": "compressed-tensors", "format": "pack-quantized"}])
def test_other_quantizations_are_refused_with_advice(given, tmp_path):
    with pytest.raises(ModelError, match=r"is quantized already .* BF16 or F16 weights"):
        convert(folder(tmp_path / "m", LLAMA | {"quantization_config": given}, llama()), tmp_path / "m.gguf")


def test_types_of_tensors(tmp_path):
    """Norms stay in F32; auto keeps BF16 bit by bit; Q8_0 is not farther from the source than gguf-py's."""
    source = {k: to_bf16(x) for k, x in llama().items()}
    path = folder(tmp_path / "m", LLAMA, source)
    convert(path, tmp_path / "auto.gguf")
    with GGUFFile(tmp_path / "auto.gguf") as file:
        assert file.tensors["output_norm.weight"].type.name == "F32"
        down = file.tensors["blk.0.ffn_down.weight"]
        assert down.type.name == "BF16"
        assert down.raw.tobytes() == source["model.layers.0.mlp.down_proj.weight"].tobytes()
    convert(path, tmp_path / "q8.gguf", "Q8_0")
    with GGUFFile(tmp_path / "q8.gguf") as file:
        down = file.tensors["blk.0.ffn_down.weight"]
        values = to_float32(source["model.layers.0.mlp.down_proj.weight"], "BF16")
        q8_0 = gguf.GGMLQuantizationType.Q8_0
        theirs = gguf.quants.dequantize(gguf.quants.quantize(values, q8_0), q8_0)
        assert ((down.numpy() - values) ** 2).sum() <= ((theirs - values) ** 2).sum()


def test_numbers_too_large_for_half_precision_are_told(tmp_path):
    source = llama()
    source["model.layers.0.mlp.down_proj.weight"][3, 4] = 70000
    made = convert(folder(tmp_path / "m", LLAMA, source), tmp_path / "m.gguf", "F16")
    assert any("blk.0.ffn_down.weight has numbers beyond 65504" in note for note in made.notes)
