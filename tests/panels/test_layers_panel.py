"""The Layers panel shows what a trace shows, and what becomes of the predictions without a part."""

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.panels import LayersPanel
from llama_gguf.testing import tiny

from .conftest import finish

TEXT = "the and the in the and"


@pytest.fixture
def panel(model):
    return LayersPanel(model, TEXT)


@pytest.mark.parametrize("value", ["resid_post", "attn_pattern", "ffn_act"])
def test_the_value_is_that_of_a_trace(panel, model, value):
    panel.layer.value, panel.activation.value = 1, value
    panel.go.click()
    finish(panel)
    with model.trace(TEXT, names=[f"blk.1.{value}"]) as t:
        assert (panel.values == t[f"blk.1.{value}"]).all()
    assert f"blk.1.{value}" in panel.map.value
    assert panel.state == "done"


def test_another_layer_value_or_head_is_another_picture(panel):
    panel.go.click()
    finish(panel)
    pictures = [panel.map.value]
    for widget, value in ((panel.layer, 1), (panel.activation, "attn_pattern"), (panel.head_number, 2)):
        widget.value = value
        finish(panel)
        pictures.append(panel.map.value)
    assert len(set(pictures)) == 4
    assert not panel.head_number.disabled


def test_ablating_equals_writing_zeros_into_a_trace(panel, model):
    panel.layer.value, panel.activation.value = 1, "attn_out"
    panel.ablate.click()
    finish(panel)
    with model.trace(TEXT, names=["blk.1.attn_out"]) as t:
        t["blk.1.attn_out"][:] = 0
        assert np.array_equal(panel.after, t.logits)
    assert not np.allclose(panel.before, panel.after)
    p, q = (np.exp(x - x.max()) / np.exp(x - x.max()).sum() for x in (panel.before[-1], panel.after[-1]))
    assert f"KL {(p * np.log(p / q)).sum():.4f} nats at the last token" in panel.message


def test_one_head_at_one_token_changes_nothing_before_it(panel):
    panel.go.click()
    finish(panel)
    panel.activation.value = "attn_pattern"
    finish(panel)
    panel.head_number.value, panel.position.value = 1, 3
    finish(panel)
    panel.ablate.click()
    finish(panel)
    same = (panel.before == panel.after).all(axis=1)
    assert same[:3].all()
    assert not same[3:].any()


def test_scores_put_out_do_not_show_the_future(panel):
    panel.layer.value, panel.activation.value = 0, "attn_scores"
    panel.ablate.click()
    finish(panel)
    assert (panel.before[0] == panel.after[0]).all()  # one key: its weight is 1 whatever the score


def test_the_logit_lens_ends_with_what_the_model_predicts(panel):
    pytest.importorskip("llama_gguf.lens")
    panel.lens.click()
    finish(panel)
    assert panel.state == "done"
    assert "<table" in panel.lens_view.value or "<svg" in panel.lens_view.value


def test_nan_in_an_activation_is_said_and_drawn(nan_file):
    with Model(nan_file, n_threads=1) as m:
        panel = LayersPanel(m, TEXT, layer=1, activation="attn_out")
        panel.go.click()
        assert "NaN or infinite" in finish(panel)
        assert panel.state == "done"
        assert "lg-nan" in panel.map.value
        panel.ablate.click()
        assert "NaN" in finish(panel)
        panel.layer.value = 0
        assert "NaN" not in finish(panel)


def test_layers_that_differ_offer_what_they_have(tmp_path):
    with Model(tiny(tmp_path / "jamba.gguf", "jamba"), n_threads=1) as m:
        panel = LayersPanel(m, "the and", layer=1, activation="attn_pattern")
        panel.go.click()
        finish(panel)
        assert panel.values.ndim == 3
        assert "ssm_in" not in panel.activation.options
        panel.layer.value = 0
        finish(panel)
        assert panel.state == "done"
        assert panel.activation.value == "resid_post"
        assert "attn_pattern" not in panel.activation.options
        assert "ssm_in" in panel.activation.options


def test_an_encoder_shows_values_but_predicts_nothing(tmp_path):
    with Model(tiny(tmp_path / "bert.gguf", "bert"), n_threads=1) as m:
        panel = LayersPanel(m, "the and")
        panel.go.click()
        finish(panel)
        assert panel.state == "done"
        panel.ablate.click()
        assert "cannot continue" in finish(panel)


def test_a_text_that_is_too_long_or_empty_is_said(panel):
    panel.text.value = "the " * 600
    panel.go.click()
    assert "at most" in finish(panel)
    assert panel.state == "error"
    panel.text.value = TEXT
    panel.go.click()
    finish(panel)
    assert panel.state == "done"


def test_a_wide_vocabulary_limits_the_text_not_the_panel(tmp_path):
    path = tiny(tmp_path / "wide.gguf", tokens=262144, width=32, ff=32, layers=1)
    with Model(path, n_threads=1) as m:
        panel = LayersPanel(m, "the and")
        panel.ablate.click()
        finish(panel)
        assert panel.state == "done"
        panel.text.value = "x" * 300
        panel.go.click()
        assert "256 at most" in finish(panel)
