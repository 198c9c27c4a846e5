"""A NaN or infinite scale, or value, is found where it stands, and nothing else is."""

import numpy as np
import pytest

from llama_gguf.engine.quants import check_finite
from llama_gguf.gguf.types import TYPES

from .random_blocks import ALL, HALVES, random_rows, scatter, type_id

NAN, INF = b"\x01\x7c", b"\x00\xfc"  # half precision


def blocks_of(raw, name):
    return raw.reshape(len(raw), -1, TYPES[name].bytes)


@pytest.mark.parametrize("name", ALL)
def test_finite_tensors_pass(name):
    raw, n_cols = random_rows(name, 33, 5)
    assert check_finite(raw, type_id(name), n_cols) is None


@pytest.mark.parametrize("bad", [NAN, INF], ids=["nan", "inf"])
@pytest.mark.parametrize(("name", "at"), [(n, at) for n, all_at in HALVES.items() for at in all_at])
def test_each_scale_and_minimum_is_looked_at(name, at, bad):
    raw, n_cols = random_rows(name, 7, 4)
    blocks_of(raw, name)[[3, 5], [2, 0], at : at + 2] = np.frombuffer(bad, dtype=np.uint8)
    assert check_finite(raw, type_id(name), n_cols) == (3, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["F32", "F16", "BF16", "F64", "Q8_K"])
def test_wide_numbers_are_looked_at(name, value):
    raw, n_cols = random_rows(name, 7, 4)
    number = np.array([value], dtype=TYPES[name].dtype or np.float32).view(np.uint8)
    number = number[2:] if name == "BF16" else number
    blocks_of(raw, name)[3, 2, : len(number)] = number
    assert check_finite(raw, type_id(name), n_cols) == (3, 2)


def test_the_scattered_scale_of_iq1_m_is_looked_at():
    raw, n_cols = random_rows("IQ1_M", 7, 4)
    scatter(blocks_of(raw, "IQ1_M")[3:4, 2:3], np.array([[0x7C01]], dtype=np.uint16))
    assert check_finite(raw, type_id("IQ1_M"), n_cols) == (3, 2)


def test_the_nan_scale_of_mxfp4_counts_though_its_values_are_finite():
    raw = np.zeros((1, 34), dtype=np.uint8)
    raw[0, 17] = 255
    assert check_finite(raw, type_id("MXFP4"), 64) == (0, 1)


@pytest.mark.parametrize(("code", "found"), [(6, None), (7, (0, 0))])
def test_values_that_overflow_count(code, found):
    raw = np.zeros((1, 17), dtype=np.uint8)
    raw[0, 0], raw[0, 9] = 253, code  # 2**125 times 8 or 12: the largest float32 is below 2**128
    raw[0, 0] -= code == 6
    assert check_finite(raw, type_id("MXFP4"), 32) == found


def test_doubles_beyond_float32_count():
    raw = np.array([[1e38, 1e39]]).view(np.uint8)
    assert check_finite(raw, type_id("F64"), 2) == (0, 1)


def test_empty_tensors_pass():
    assert check_finite(np.zeros((0, 34), np.uint8), type_id("Q8_0"), 32) is None
    assert check_finite(np.zeros((3, 0), np.uint8), type_id("Q8_0"), 0) is None


def test_the_first_of_many_is_found_by_any_number_of_threads():
    raw, n_cols = random_rows("Q4_0", 3000, 8)
    blocks_of(raw, "Q4_0")[1234:, 5, 1] = 0x7C
    for n_threads in (0, 1, 2, 3):
        assert check_finite(raw, type_id("Q4_0"), n_cols, n_threads) == (1234, 5)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError):
        check_finite(np.zeros((2, 68), np.uint8), type_id("Q8_0"), 96)


@pytest.mark.parametrize("at", [0, 511, 512, 1200])
@pytest.mark.parametrize("name", ["F32", "F16", "BF16", "F64"])
def test_long_rows_are_looked_at_to_the_end(name, at):
    raw, n_cols = random_rows(name, 2, 1201)
    blocks_of(raw, name)[1, at, -2:] = 0xFF
    assert check_finite(raw, type_id(name), n_cols) == (1, at)


def test_doubles_count_exactly_from_where_they_round_to_infinity():
    least = 2.0**128 - 2.0**103
    doubles = np.array([[np.nextafter(least, 0), -np.nextafter(least, 0), -least]])
    assert check_finite(doubles.view(np.uint8), type_id("F64"), 3) == (0, 2)
