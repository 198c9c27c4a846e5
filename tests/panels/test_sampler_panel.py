"""The Sampler panel shows what Sampler.steps says."""

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.panels import SamplerPanel
from llama_gguf.sampling import Sampler
from llama_gguf.testing import tiny

from .conftest import finish


@pytest.fixture
def panel(model):
    panel = SamplerPanel(model, "the and")
    panel.go.click()
    finish(panel)
    return panel


def test_the_logits_are_the_model_s(panel, model):
    assert np.allclose(panel.logits, model.logits("the and")[-1], atol=1e-5)
    assert panel.state == "done"


def test_sliders_show_at_once_what_survives(panel):
    before = panel.view.value
    panel.settings["top_k"].value = 3
    assert panel.view.value != before
    assert panel.message.startswith("3 of 269 tokens survive")
    panel.settings["temperature"].value = 0.0
    assert panel.message.startswith("1 of 269 tokens survive")
    assert "entropy 0.00" in panel.message


def test_the_picture_marks_where_a_token_is_dropped(panel):
    panel.settings["top_k"].value = 5
    assert panel.view.value.count("dropped by this step") >= 24 - 5
    assert "top-k: 5" in panel.view.value
    assert "logits: 269" in panel.view.value


def test_repetition_is_measured_against_the_text(panel):
    panel.settings["repeat_penalty"].value = 1.5
    settings = {name: w.value for name, w in panel.settings.items()}
    steps = Sampler(**settings).steps(panel.logits, panel.ids)
    assert [s.ids.tolist() for s in panel.steps] == [s.ids.tolist() for s in steps]
    assert panel.steps[0].ids.tolist() != panel.steps[1].ids.tolist()


def test_an_empty_text_of_a_model_without_a_begin_token_is_said(tmp_path):
    path = tiny(tmp_path / "plain.gguf", metadata={"tokenizer.ggml.add_bos_token": False})
    with Model(path, n_threads=1) as m:
        panel = SamplerPanel(m, "")
        panel.go.click()
        assert "no tokens" in finish(panel)
        panel.text.value = "the"
        panel.go.click()
        assert "survive" in finish(panel)


def test_a_vocabulary_of_262144_stays_small_on_the_page(tmp_path):
    path = tiny(tmp_path / "wide.gguf", tokens=262144, width=32, ff=32, layers=1)
    with Model(path, n_threads=1) as m:
        panel = SamplerPanel(m, "the")
        panel.go.click()
        finish(panel)
        panel.settings["top_k"].value = 0
        assert "of 262,144 tokens" in panel.message
        assert len(panel.view.value) < 150_000
