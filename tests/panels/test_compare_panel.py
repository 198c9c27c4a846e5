"""The Compare panel says what quant_damage says."""

import pytest

from llama_gguf import Model
from llama_gguf.panels import ComparePanel
from llama_gguf.testing import tiny

from .conftest import finish

TEXT = "the and the in the and"


@pytest.fixture
def pair(tmp_path):
    base = tiny(tmp_path / "base.gguf", type="F32", seed=1)
    worse = tiny(tmp_path / "worse.gguf", type="F32", seed=1, tensors={"blk.1.ffn_norm.weight": [0.5] * 64})
    with Model(worse, n_threads=1) as m:
        yield m, base


def test_the_damage_is_shown_where_it_is(pair):
    model, base = pair
    panel = ComparePanel(model, str(base), TEXT)
    panel.go.click()
    message = finish(panel)
    assert panel.state == "done"
    assert "part at blk.1.ffn_out" in message
    assert panel.damage.kl > 0
    assert panel.view.value == panel.damage._repr_html_()
    panel.close()


def test_a_model_beside_itself_does_not_part(pair):
    model, _ = pair
    panel = ComparePanel(model, model, TEXT)
    panel.go.click()
    assert "do not part" in finish(panel)
    panel.close()
    assert model.graph is not None  # the caller's


def test_no_base_another_vocabulary_or_no_file_is_said(pair, tmp_path):
    model, _ = pair
    panel = ComparePanel(model, text=TEXT)
    panel.go.click()
    assert "Name the file" in panel.message
    panel.base.value = str(tiny(tmp_path / "other.gguf", tokens=300))
    panel.go.click()
    finish(panel)
    assert panel.state == "error"
    panel.base.value = str(tmp_path / "none.gguf")
    panel.go.click()
    finish(panel)
    assert panel.state == "error"
