"""Statistics of importance matrices: by their definitions, from numbers small enough to check by hand."""

import math

import numpy as np
import pytest

from llama_gguf.quantize import Imatrix


@pytest.fixture
def stats():
    return Imatrix.of(
        {
            "blk.0.ffn_up.weight": (np.array([2.0, 2, 2, 2]) * 8, 8),
            "blk.1.ffn_up.weight": (np.array([4.0, 4, 0, 0]) * 8, 8),
            "blk.3.ffn_up.weight": (np.array([0.0, 0, 3, 4]) * 8, 8),
            "blk.0.ffn_up_exps.weight": (np.array([[1.0, 1], [0, 0], [3, 3]]), [1, 0, 1]),
            "output.weight": (np.array([1.0, 3]), 1),
        }
    ).stats()


def row(stats, name):
    return next(r for r in stats.rows if r["tensor"] == name)


def test_sums_entropy_and_active_share(stats):
    flat, half = row(stats, "blk.0.ffn_up.weight"), row(stats, "blk.1.ffn_up.weight")
    assert (flat["sum_of_squares"], flat["mean"], flat["std"], flat["active"]) == (8, 2, 0, 1)
    assert (flat["entropy"], flat["evenness"], flat["cosine"]) == (2, 1, None)
    assert (half["sum_of_squares"], half["min"], half["max"], half["active"], half["entropy"]) == (8, 0, 4, 0.5, 1)


def test_cosine_is_with_the_nearest_block_before(stats):
    assert row(stats, "blk.1.ffn_up.weight")["cosine"] == pytest.approx(16 / (4 * math.sqrt(32)))
    assert row(stats, "blk.3.ffn_up.weight")["cosine"] == 0
    assert row(stats, "output.weight")["cosine"] is None


def test_experts_without_tokens_are_counted_and_left_out(stats):
    experts = row(stats, "blk.0.ffn_up_exps.weight")
    assert (experts["unseen_experts"], experts["columns"], experts["mean"], experts["tokens"]) == (1, 4, 2, 2)


def test_blocks_are_summed_up(stats):
    assert [r["layer"] for r in stats.layers] == [0, 1, 3]
    assert stats.layers[0]["sum_of_squares"] == 16 and stats.layers[0]["cosine"] is None


def test_a_notebook_shows_pictures(stats):
    html = stats._repr_html_()
    assert html.count("<svg") == 3 and "blk.1.ffn_up.weight" in html
