"""Every tensor type becomes float32 to the last bit as gguf-py and the NumPy twins have it."""

import hashlib
import json
import mmap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_gguf.blocks import twins
from llama_gguf.engine.quants import block_shape, codebook, dequantize
from llama_gguf.errors import FormatError
from llama_gguf.gguf.types import BY_ID, TYPES

from .random_blocks import ALL, QUANTIZED, random_rows, type_id

all_types = pytest.mark.parametrize("name", ALL)


def bits(values):
    return np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)


def assert_same_bits(values, expected):
    """NaN equals NaN; all else, zeros' signs too, to the bit."""
    same = (bits(values) == bits(expected)) | (np.isnan(values) & np.isnan(expected))
    assert values.shape == expected.shape
    assert same.all(), f"{(~same).sum()} of {same.size} values differ"


@pytest.mark.parametrize("kind", BY_ID.values(), ids=str)
def test_structs_have_the_sizes_of_the_table(kind):
    assert block_shape(kind.id) == (kind.block, kind.bytes)


@all_types
def test_values_equal_gguf_py(name):
    gguf = pytest.importorskip("gguf")
    raw, n_cols = random_rows(name, 19, 3)
    try:
        expected = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType(type_id(name)))
    except (NotImplementedError, ValueError):
        pytest.skip(f"this gguf-py does not dequantize {name}")
    assert_same_bits(dequantize(raw, type_id(name), n_cols), expected)


@all_types
@settings(max_examples=15, deadline=None)
@given(rows=st.integers(0, 7), blocks=st.integers(0, 5), seed=st.integers(0, 2**32))
def test_values_equal_the_numpy_twin(name, rows, blocks, seed):
    raw, n_cols = random_rows(name, rows, blocks, seed)
    expected = twins.dequantize(raw, type_id(name), n_cols)
    assert_same_bits(dequantize(raw, type_id(name), n_cols), expected)


@all_types
def test_any_bytes_at_all_give_what_the_twin_gives(name):
    kind = TYPES[name]
    raw = np.random.default_rng(5).integers(0, 256, (64, 4 * kind.bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):
        expected = twins.dequantize(raw, kind.id, 4 * kind.block)
    assert_same_bits(dequantize(raw, kind.id, 4 * kind.block), expected)


def test_every_half_precision_number_converts_exactly():
    halves = np.arange(2**16, dtype=np.uint16)[None]
    values = dequantize(halves.view(np.uint8), type_id("F16"), 2**16)
    with np.errstate(invalid="ignore"):
        assert_same_bits(values, halves.view(np.float16).astype(np.float32))


def test_every_half_precision_scale_converts_exactly():
    raw = np.zeros((2**16, 34), dtype=np.uint8)
    raw[:, :2] = np.arange(2**16, dtype=np.uint16)[:, None].view(np.uint8)
    raw[:, 2] = 1
    with np.errstate(invalid="ignore"):
        expected = raw[:, :2].copy().view(np.float16).astype(np.float32)
    assert_same_bits(dequantize(raw, type_id("Q8_0"), 32)[:, :1], expected)


def test_wide_integers_round_to_nearest():
    numbers = np.array([[2**24 + 1, 2**24 + 3, -(2**63), 2**63 - 1]])
    expected = numbers.astype(np.float32)
    assert_same_bits(dequantize(numbers.view(np.uint8), type_id("I64"), 4), expected)
    assert expected[0, 0] == 2**24


ONE = b"\x00\x3c"  # 1.0 in half precision
BLOCKS_BY_HAND = {  # name: (a block, its first values)
    "Q1_0": (ONE + b"\x05" + bytes(15), [1, -1, 1, -1, -1, -1, -1, -1, -1]),
    "Q2_0": (ONE + b"\xe4\x01" + bytes(14), [-1, 0, 1, 2, 0, -1, -1, -1, -1]),
    "Q4_0": (ONE + b"\xf0\x19" + bytes(14), [-8, 1, -8]),
    "Q4_1": (ONE + ONE + b"\xf0\x19" + bytes(14), [1, 10, 1]),
    "Q5_0": (ONE + b"\x02\0\0\0" + b"\xf0\x19" + bytes(14), [-16, 9, -16]),
    "Q8_0": (ONE + b"\x01\xff\x80" + bytes(29), [1, -1, -128, 0]),
    "Q8_1": (ONE + ONE + b"\x01\xff\x80" + bytes(29), [1, -1, -128, 0]),
    "MXFP4": (b"\x80" + b"\x02\x0f\x01" + bytes(13), [2, -12, 1, 0]),
    "NVFP4": (b"\x38\0\0\0" + b"\x02\x0f\x01" + bytes(29), [1, -6, 0.5, 0]),
    "IQ4_NL": (ONE + b"\x00\x0f\x07" + bytes(13), [-127, 113, -10, -127]),
    "Q4_K": (ONE + ONE + b"\x02\0\0\0\x03" + bytes(7) + b"\x05\x01" + bytes(126), [7, -1, -3]),
    "Q6_K": (
        b"\x01\x02" + bytes(126) + b"\x01" + bytes(63) + b"\xff" + bytes(15) + ONE,
        [15, 30, 32],
    ),
}


@pytest.mark.parametrize("name", BLOCKS_BY_HAND)
def test_a_block_written_by_hand(name):
    block, first_values = BLOCKS_BY_HAND[name]
    raw = np.frombuffer(block, dtype=np.uint8)[None]
    values = dequantize(raw, type_id(name), TYPES[name].block)
    assert values[0, : len(first_values)].tolist() == first_values


def test_codebooks_hold_distinct_points():
    for name in ("iq1", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s"):
        points = codebook(name)
        assert len(np.unique(points, axis=0)) == len(points)


@all_types
def test_rows_are_the_same_for_any_number_of_threads(name):
    raw, n_cols = random_rows(name, 1025, 256 // TYPES[name].block or 1)
    one = dequantize(raw, type_id(name), n_cols, n_threads=1)
    for n_threads in (0, 2, 3):
        np.testing.assert_array_equal(dequantize(raw, type_id(name), n_cols, n_threads), one)


def test_a_mapped_file_is_read_in_place(tmp_path):
    raw, n_cols = random_rows("Q4_K", 3, 2)
    path = tmp_path / "raw"
    path.write_bytes(raw.tobytes())
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    view = np.frombuffer(mapped, dtype=np.uint8).reshape(raw.shape)
    assert not view.flags.writeable
    assert_same_bits(dequantize(view, 12, n_cols), dequantize(raw, 12, n_cols))


@all_types
def test_rows_may_start_at_any_address(name):
    raw, n_cols = random_rows(name, 2, 2)
    room = np.empty(raw.size + 1, dtype=np.uint8)
    odd = room[1:].reshape(raw.shape)
    odd[:] = raw
    assert_same_bits(dequantize(odd, type_id(name), n_cols), dequantize(raw, type_id(name), n_cols))


def test_values_can_be_written_into_a_given_array():
    raw, n_cols = random_rows("Q8_0", 3, 2)
    out = np.empty((3, n_cols), dtype=np.float32)
    assert dequantize(raw, 8, n_cols, out=out) is out
    assert_same_bits(out, dequantize(raw, 8, n_cols))


GOOD = np.zeros((2, 68), dtype=np.uint8)  # two rows of two Q8_0 blocks


@pytest.mark.parametrize(
    ("raw", "kind", "n_cols"),
    [
        (GOOD, 8, 63),
        (GOOD, 8, 32),
        (GOOD, 8, 96),
        (GOOD, 8, 0),
        (GOOD, 8, -64),
        (GOOD, 8, 2**62),
        (GOOD[:, :67].copy(), 8, 64),
        (GOOD, 4, 64),
        (GOOD, -1, 64),
        (GOOD, 10**6, 64),
    ],
)
def test_sizes_that_do_not_fit_are_refused(raw, kind, n_cols):
    with pytest.raises(FormatError):
        dequantize(raw, kind, n_cols)


@pytest.mark.parametrize("raw", [GOOD[:, ::2], GOOD.T, GOOD[0], GOOD.view(np.int8), GOOD[None]])
def test_arrays_of_another_make_are_refused(raw):
    with pytest.raises(ValueError):
        dequantize(raw, 8, 64)


def test_outputs_of_another_make_are_refused():
    frozen = np.zeros((2, 64), dtype=np.float32)
    frozen.flags.writeable = False
    for out in (
        np.zeros((2, 65), np.float32),
        np.zeros((2, 64)),
        np.zeros((1, 64), np.float32),
        np.zeros((2, 128), np.float32)[:, ::2],
        frozen,
    ):
        with pytest.raises(ValueError):
            dequantize(GOOD, 8, 64, out=out)


@pytest.mark.parametrize("n_threads", [-1, 10**6])
def test_impossible_thread_counts_are_refused(n_threads):
    with pytest.raises(ValueError):
        dequantize(GOOD, 8, 64, n_threads)


def test_every_quantized_type_has_a_twin():
    assert set(twins.TWINS) == set(QUANTIZED)


REAL = dict(np.load(Path(__file__).parents[1] / "data" / "real_rows.npz"))
"""Rows of SmolLM2 and Gemma-3-270M as their files have them, and 1536 weights of SmolLM2's
blk.7.ffn_down that llama.cpp (ggml_quantize_chunk, importance all ones) put into every type; the SHA-256
of the float32 values that llama.cpp's dequantization gives for each."""
SHA256 = json.loads(REAL.pop("sha256").tobytes())


@pytest.mark.parametrize("key", REAL)
def test_real_rows_equal_llama_cpp_and_gguf_py(key):
    kind, raw = TYPES[key.split()[-1]], REAL[key]
    values = dequantize(raw, kind.id, raw.shape[1] // kind.bytes * kind.block)
    assert hashlib.sha256(values.tobytes()).hexdigest() == SHA256[key]
    gguf = pytest.importorskip("gguf")
    try:
        expected = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType(kind.id))
    except (NotImplementedError, ValueError):
        return  # a type newer than this gguf-py
    assert_same_bits(values, expected)


def test_there_are_real_rows_of_every_type_that_models_are_made_of():
    kinds = {key.split()[-1] for key in REAL}
    assert kinds | {"F32"} == {t.name for t in TYPES.values() if "matmul" in t.roles}


def test_real_tensors_equal_gguf_py(smollm2):
    gguf = pytest.importorskip("gguf")
    from llama_gguf.gguf import GGUFFile

    with GGUFFile(smollm2) as file:
        for name in (
            "token_embd.weight",
            "blk.0.attn_q.weight",
            "blk.3.ffn_down.weight",
            "output_norm.weight",
        ):
            tensor = file.tensors[name]
            raw = np.atleast_2d(tensor.raw)[:999]
            expected = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType(tensor.type.id))
            values = dequantize(raw, tensor.type.id, tensor.shape[-1])
            assert_same_bits(values, expected.reshape(values.shape))
            del raw, expected, values, tensor
