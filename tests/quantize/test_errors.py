"""How much is lost: never more than llama.cpp's quantizers lose, and little more than need be."""

import json

import numpy as np
import pytest

from llama_gguf.blocks.twins import TWINS
from llama_gguf.engine.quants import codebook, dequantize
from llama_gguf.gguf.types import TYPES
from llama_gguf.quantize.rows import QUANTIZERS, quantize_rows

from .rows import ERRORS, importance, others, peaked, real, relative_error, row_sets

quantized = pytest.mark.parametrize("name", [name for name in QUANTIZERS if TYPES[name].is_quantized])
THEIRS = json.loads(ERRORS.read_text())
LIKE_FOR_LIKE = 1e-9  # Q1_0 without importance leaves no choice: the same numbers, summed in another order
WITH_MINIMUM = ("Q4_1", "Q5_1", "Q2_K", "Q4_K", "Q5_K")
MIDDLE = real("gemma3 blk.0.ffn_down.weight Q6_K")


def stored(values, name, weights=None):
    weights = np.ones(values.shape[1], np.float32) if weights is None else weights
    return dequantize(quantize_rows(values, name, weights), TYPES[name].id, values.shape[1])


@pytest.mark.parametrize("title", row_sets())
@pytest.mark.parametrize("name", sorted({key.split()[0] for key in THEIRS}))
def test_no_more_is_lost_than_by_llama_cpp(name, title):
    values = row_sets()[title]
    weights = importance(values.shape[1])
    plain, weighted = THEIRS[f"{name} {title}"]
    assert relative_error(values, stored(values, name)) <= plain + LIKE_FOR_LIKE
    assert relative_error(values, stored(values, name, weights), weights) <= weighted + LIKE_FOR_LIKE


@pytest.mark.parametrize("title", ["normal", "heavy tails"])
@pytest.mark.parametrize("name", sorted({key.split()[0] for key in THEIRS}))
def test_a_column_that_outweighs_all_others_does_not_hide_them(name, title):
    """Float32 sums over a block lose the other columns in the rounding of this one's products."""
    values = row_sets()[title]
    weights, rest = peaked(values.shape[1]), others(values.shape[1])
    ours, (total, of_others) = stored(values, name, weights), THEIRS[f"{name} {title}, peaked"]
    assert relative_error(values, ours, weights) <= total
    if name in WITH_MINIMUM:  # with a scale alone, what is best for that column may be worse for the others
        assert relative_error(values, ours, rest) <= of_others


def test_libgguf_was_asked_about_every_type_that_it_writes():
    wanted = {name for name in QUANTIZERS if TYPES[name].is_quantized} - {"Q2_0"}
    assert {key.split()[0] for key in THEIRS} == wanted


@quantized
def test_under_the_importance_its_own_error_is_the_smaller_one(name):
    weights = importance(MIDDLE.shape[1])
    with_it, without = stored(MIDDLE, name, weights), stored(MIDDLE, name)
    assert relative_error(MIDDLE, with_it, weights) <= relative_error(MIDDLE, without, weights)
    assert relative_error(MIDDLE, without) <= relative_error(MIDDLE, with_it) + LIKE_FOR_LIKE


@pytest.mark.parametrize(
    ("name", "smaller"),
    [("Q8_0", "Q6_K"), ("Q6_K", "Q4_K"), ("Q5_K", "Q3_K"), ("Q4_K", "Q2_K"), ("IQ4_XS", "IQ2_S"), ("IQ3_S", "IQ1_M")],
)
def test_two_bits_more_lose_less_than_half(name, smaller):
    normal = row_sets()["normal"]
    assert relative_error(normal, stored(normal, name)) < 0.5 * relative_error(normal, stored(normal, smaller))


POINTS = {  # of types with one scale per block
    "Q4_0": np.arange(-8, 8),
    "Q5_0": np.arange(-16, 16),
    "Q8_0": np.arange(-127, 128),
    "Q2_0": np.arange(-1, 3),
    "TQ2_0": np.arange(-1, 2),
    "IQ4_NL": codebook("iq4").astype(int),
}


@pytest.mark.parametrize("name", POINTS)
def test_one_scale_is_as_good_as_four_thousand_tried_ones(name):
    """Against the best of a fine comb of scales of both signs, each fitted to its codes. (With eight bits no value is
    cut by more than a step, however little it matters.)"""
    size, points = TYPES[name].block, np.sort(POINTS[name])
    values = MIDDLE[:1].astype(np.float64).reshape(-1, size)
    weights = importance(MIDDLE.shape[1]).reshape(-1, size)
    middles = (points[1:] + points[:-1]) / 2
    left = np.full(len(values), np.inf)
    low, high = {"Q8_0": (0.995, 1.006), "TQ2_0": (0.4, 8)}.get(name, (0.4, 2.2))
    for inverse in np.linspace(low, high, 2000) * np.abs(points).max():
        for sign in (1, -1):
            scale = np.abs(values).max(axis=1, keepdims=True) * sign / inverse
            codes = points[np.searchsorted(middles, values / scale)]
            best = (weights * codes * values).sum(1) / np.maximum((weights * codes * codes).sum(1), 1e-30)
            left = np.minimum(left, (weights * (values - best[:, None] * codes) ** 2).sum(1))
    ours = relative_error(MIDDLE[:1], stored(MIDDLE[:1], name, importance(MIDDLE.shape[1])), weights.reshape(1, -1))
    assert ours <= 1.012 * np.sqrt(left.sum() / (weights * values**2).sum())


BOOKS = {"IQ2_S": ("iq2_s", 8), "IQ3_S": ("iq3_s", 4), "IQ1_S": ("iq1", 8), "IQ1_M": ("iq1", 8)}


@pytest.mark.parametrize("name", BOOKS)
def test_points_are_the_nearest_of_their_codebook(name):
    """For the scales that were found, against every point under the weights. (The scale of scales is fitted last, which
    leaves a few points the second nearest.)"""
    book, width = BOOKS[name]
    values, weights = MIDDLE[:1], importance(MIDDLE.shape[1])
    raw = quantize_rows(values, name, weights)
    fields = TWINS[name](raw.reshape(-1, TYPES[name].bytes))
    per_value = np.repeat(np.broadcast_to(fields.scale, (*fields.code.shape[:2], 1)), fields.code.shape[2], 2)
    scale, w, x = (np.asarray(a, np.float64).reshape(-1, 1, width) for a in (per_value, weights, values))
    points = codebook(book).astype(np.float64)[None]
    if name.startswith("IQ1"):
        prices = [(w * (scale * (8 * points + shift) - x) ** 2).sum(2).min(1) for shift in (1, -1)]
        least = np.minimum(*prices).sum() if name == "IQ1_M" else sum(np.minimum(*map(by_group, prices)))
    else:
        least = (w * (scale * points - np.abs(x)) ** 2).sum(2).min(1).sum()
    left = (weights * (values - dequantize(raw, TYPES[name].id, values.shape[1])).astype(np.float64) ** 2).sum()
    assert least * (1 - 1e-6) <= left <= 1.003 * least


def by_group(prices):
    return prices.reshape(-1, 4).sum(1)
