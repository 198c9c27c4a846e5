"""The Tensors panel lists, filters and sorts what is in the file, and takes blocks apart."""

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.panels import TensorsPanel
from llama_gguf.testing import tiny

from .conftest import finish


@pytest.fixture
def panel(tmp_path):
    bad = np.zeros((96, 256), np.float32)
    bad[3, 5], bad[4, 4] = np.nan, np.inf
    path = tiny(tmp_path / "q.gguf", type="Q4_K", width=256, ff=96, tensors={"blk.1.ffn_up.weight": bad})
    with Model(path, n_threads=1) as m:
        yield TensorsPanel(m)


def names(panel):
    return [t.name for t in panel.shown]


def test_all_tensors_are_listed_in_the_order_of_the_file(panel):
    assert names(panel) == list(panel.model.tensors)
    assert panel.message.startswith(f"{len(panel.model.tensors)} tensors")


def test_filters_are_parts_of_names_or_patterns(panel):
    panel.pattern.value = "attn_q"
    assert names(panel) == ["blk.0.attn_q.weight", "blk.1.attn_q.weight"]
    panel.pattern.value = "blk.1.ffn_*"
    assert all(n.startswith("blk.1.ffn_") for n in names(panel))
    panel.type.value = "F32"
    assert {t.type.name for t in panel.shown} == {"F32"}
    panel.pattern.value = "nothing like this"
    assert names(panel) == []
    assert panel.message.startswith("0 of")


@pytest.mark.parametrize("sort, key", [
    ("size", lambda t: -t.n_bytes), ("name", lambda t: t.name), ("type", lambda t: t.type.name),
    ("shape", lambda t: -t.n_elements)])
def test_the_list_is_sorted(panel, sort, key):
    panel.sort.value = sort
    found = [key(t) for t in panel.shown]
    assert found == sorted(found)
    assert len(found) == len(panel.model.tensors)


def test_a_choice_shows_statistics_and_the_first_block(panel):
    panel.pattern.value = "blk.0.attn_q.weight"
    panel.list.index = 0
    assert "block 0 of 256" in finish(panel)
    values = panel.model.tensors["blk.0.attn_q.weight"].numpy()
    assert panel.stats["mean"] == pytest.approx(values.mean(), abs=1e-6)
    assert "kurtosis" in panel.view.value
    first = panel.microscope.value
    panel.block.value = 255
    assert panel.microscope.value != first
    assert panel.microscope.value == panel.tensor.block(255)._repr_html_()
    panel.block.value = 9999
    assert panel.block.value == 255


def test_nan_and_infinity_are_said(panel):
    panel.choose(panel.model.tensors["blk.1.ffn_up.weight"])
    message = finish(panel)
    assert panel.state == "done"
    assert "2 values are NaN or infinite" in message
    assert panel.block.disabled


def test_of_two_choices_the_later_one_is_shown(panel):
    tensors = list(panel.model.tensors.values())
    for tensor in tensors:
        panel.choose(tensor)
    finish(panel)
    assert panel.stats["name"] == tensors[-1].name
    assert panel.tensor is tensors[-1]


def test_a_choice_outlives_a_filter_that_keeps_it(panel):
    panel.pattern.value = "attn"
    panel.list.index = 2
    finish(panel)
    chosen = panel.tensor
    panel.sort.value = "name"
    assert panel.shown[panel.list.index] is chosen
    panel.pattern.value = "ffn"
    assert panel.list.index is None
    assert panel.tensor is None
