"""float32 rows into blocks: what is refused, what comes back exactly, and what nothing may depend on."""

import gguf
import numpy as np
import pytest

from llama_gguf.engine.quants import dequantize
from llama_gguf.errors import FormatError, ModelError
from llama_gguf.gguf.types import TYPES
from llama_gguf.quantize.rows import NEEDS_IMPORTANCE, QUANTIZERS, convert_rows, quantize_rows

all_types = pytest.mark.parametrize("name", QUANTIZERS)
quantized = pytest.mark.parametrize("name", [name for name in QUANTIZERS if TYPES[name].is_quantized])
N_COLS = 512


def normal_rows(rows=8, n_cols=N_COLS, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, n_cols)).astype(np.float32)


def importance(n_cols=N_COLS, seed=1):
    return np.random.default_rng(seed).gamma(0.7, size=n_cols).astype(np.float32)


def stored(values, name, weights=None, n_threads=None):
    """What is left of `values` after they were stored in that type."""
    if weights is None and name in NEEDS_IMPORTANCE:
        weights = np.ones(values.shape[1], np.float32)
    raw = quantize_rows(values, name, weights, n_threads)
    return dequantize(raw, TYPES[name].id, values.shape[1])


@pytest.mark.parametrize("weights", [None, importance()], ids=["plain", "importance"])
@pytest.mark.parametrize("name", ["Q4_1", "Q5_1"])
def test_values_of_codes_with_a_minimum_come_back_exactly(name, weights):
    """As gguf-py stores them, which uses the first and the last code, and as we do, who may leave two unused."""
    kind, values = gguf.GGMLQuantizationType[name], 0.05 * normal_rows(40)
    theirs = gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind)
    for once in (theirs, stored(values, name), stored(values, name, importance(seed=3))):
        np.testing.assert_array_equal(stored(once, name, weights), once)


@all_types
def test_nothing_depends_on_the_number_of_threads(name):
    values, weights = normal_rows(37), importance()
    one = quantize_rows(values, name, weights, 1)
    for n_threads in (2, 3, None):
        np.testing.assert_array_equal(quantize_rows(values, name, weights, n_threads), one)


@quantized
def test_a_row_does_not_depend_on_its_neighbours(name):
    values, weights = normal_rows(6), importance()
    whole = quantize_rows(values, name, weights)
    for row in range(len(values)):
        np.testing.assert_array_equal(quantize_rows(values[row : row + 1], name, weights)[0], whole[row])


@all_types
def test_zeros_stay_zeros(name):
    if name == "Q1_0":
        pytest.skip("signs have no zero, but their scale is zero")
    np.testing.assert_array_equal(stored(np.zeros((2, N_COLS), np.float32), name), 0)


@pytest.mark.parametrize("size", [1e-45, 1e-30, 1e-8, 1e-3, 1e3, 1e8, 3e38])
@all_types
def test_values_of_any_size_become_finite_ones(name, size):
    values = np.clip(normal_rows(2).astype(np.float64) * size, -3e38, 3e38)
    values[0, ::3] = 0
    assert np.isfinite(stored(values, name)).all()
    assert np.isfinite(stored(values, name, importance())).all()


@quantized
def test_one_outlier_does_not_reach_other_blocks(name):
    values = normal_rows(1)
    alone = quantize_rows(values, name, np.ones(N_COLS, np.float32))
    values[0, 3] = 1e4
    other = quantize_rows(values, name, np.ones(N_COLS, np.float32))
    size = TYPES[name].bytes
    np.testing.assert_array_equal(alone[:, size:], other[:, size:])


@all_types
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_named(name, bad):
    values = normal_rows(5)
    values[3, 77] = bad
    with pytest.raises(ModelError, match=r"row 3, column 77 is (nan|-?inf)"):
        quantize_rows(values, name, importance())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1])
def test_importance_must_be_finite_and_not_negative(bad):
    weights = importance()
    weights[5] = bad
    with pytest.raises(ModelError, match="column 5"):
        quantize_rows(normal_rows(), "Q4_0", weights)


def test_importance_has_one_number_per_column():
    with pytest.raises(ModelError, match=r"\(512,\), not \(511,\)"):
        quantize_rows(normal_rows(), "Q4_0", importance(511))


@quantized
def test_dead_channels_are_stored_as_well_as_others(name):
    """A block whose importance is zero throughout, or all importance zero, counts like one without any."""
    values, weights = normal_rows(), np.ones(N_COLS, np.float32)
    even = quantize_rows(values, name, weights)
    np.testing.assert_array_equal(quantize_rows(values, name, 0 * weights), even)
    weights[256:] = 0
    np.testing.assert_array_equal(quantize_rows(values, name, weights), even)


@quantized
def test_only_proportions_of_importance_matter(name):
    values, weights = normal_rows(4), importance()
    expected = quantize_rows(values, name, weights)
    for factor in (2.0**-120, 2.0**100):
        np.testing.assert_array_equal(quantize_rows(values, name, weights * np.float32(factor)), expected)


@quantized
def test_odd_widths_are_refused_with_what_fits(name):
    with pytest.raises(FormatError, match=f"blocks of {TYPES[name].block} values.*100.*BF16"):
        quantize_rows(normal_rows(2, 100), name)


@pytest.mark.parametrize("name", ["Q8_1", "Q8_K", "I32", "Q4_4", ""])
def test_types_that_nobody_writes_are_refused(name):
    with pytest.raises(ModelError, match="Q4_0"):
        quantize_rows(normal_rows(), name)


@all_types
def test_empty_tensors_are_fine(name):
    assert quantize_rows(np.zeros((0, N_COLS), np.float32), name, importance()).shape[0] == 0
    assert quantize_rows(np.zeros((3, 0), np.float32), name, importance(0)).shape == (3, 0)


def test_names_may_be_in_lower_case_or_types_themselves():
    values = normal_rows()
    expected = quantize_rows(values, "Q4_0")
    np.testing.assert_array_equal(quantize_rows(values, "q4_0"), expected)
    np.testing.assert_array_equal(quantize_rows(values, TYPES["Q4_0"]), expected)


@pytest.mark.parametrize("source", ["F32", "F16", "BF16", "Q8_0", "Q4_K"])
@pytest.mark.parametrize("name", ["F32", "Q4_0", "Q6_K"])
def test_rows_of_any_type_are_stored_like_their_values(source, name):
    kind = TYPES[source]
    raw = quantize_rows(normal_rows(37), source)
    values = dequantize(raw, kind.id, N_COLS)
    for weights in (None, importance()):
        np.testing.assert_array_equal(convert_rows(raw, kind, name, weights), quantize_rows(values, name, weights))
    if source != "F32":
        raw[3, :2] = 0xFF, 0x7F  # not a number, in half precision too
        with pytest.raises(ModelError, match="row 3, column"):
            convert_rows(raw, kind, name)
