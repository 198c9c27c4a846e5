"""The Tokenizer panel says what `explain` says."""

import pytest

from llama_gguf import Model
from llama_gguf.panels import TokenizerPanel
from llama_gguf.testing import tiny


@pytest.fixture
def panel(model):
    return TokenizerPanel(model, "the and")


def test_the_text_is_explained_as_one_types(panel, model):
    assert panel.explanation.ids == model.tokenize("the and")
    panel.text.value = "in the"
    assert panel.explanation.ids == model.tokenize("in the")
    panel.bos.value = False
    assert panel.explanation.ids == model.tokenize("in the", bos=False)
    assert panel.view.value == panel.explanation._repr_html_()


def test_special_tokens_are_cut_out_or_not(panel, model):
    panel.text.value = "<|end|>"
    assert panel.explanation.ids == model.tokenize("<|end|>")
    panel.special.value = False
    assert panel.explanation.ids == model.tokenize("<|end|>", special=False)


def test_the_prompt_of_a_chat_is_shown(panel, model):
    assert not panel.prompt.value
    panel.chat.value = True
    assert panel.preview.ids == model.chat_prompt([{"role": "user", "content": "the and"}]).ids
    assert panel.prompt.value


def test_tokens_are_looked_up_by_id_and_by_text(panel, model):
    panel.lookup.value = "1"
    assert "&lt;|end|&gt;" in panel.found.value
    panel.lookup.value = "the"
    assert f"Token {model.tokenizer.find('the')} is" in panel.found.value
    panel.lookup.value = "no such token"
    assert "No token is" in panel.found.value
    panel.lookup.value = "99999"
    assert "outside of the vocabulary" in panel.message
    panel.lookup.value = ""
    assert panel.found.value == ""


def test_odd_texts_and_long_ones(panel):
    panel.text.value = ""
    assert panel.explanation.ids
    panel.text.value = "\ud800 \x00 \u202e🙂"
    assert len(panel.explanation.ids) > 4
    panel.text.value = "the " * 20_000
    assert "only the first" in panel.message
    assert len(panel.view.value) < 2_000_000


def test_a_template_that_fails_is_said(tmp_path):
    path = tiny(tmp_path / "broken.gguf", metadata={"tokenizer.chat_template": "{{ raise_exception('no') }}"})
    with Model(path, n_threads=1) as m:
        panel = TokenizerPanel(m)
        panel.chat.value = True
        assert "no" in panel.message
        panel.chat.value = False
        panel.text.value = "the"
        assert panel.explanation.ids
