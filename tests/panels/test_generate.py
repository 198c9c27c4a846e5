"""The Generate panel says what `stream` says, with what else it could have been."""

import math

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.panels import GeneratePanel
from llama_gguf.testing import tiny

from .conftest import finish


@pytest.fixture
def panel(model):
    return GeneratePanel(model, "the and in", max_tokens=12, temperature=1.0, template=False)


def test_the_answer_is_that_of_the_model(panel, model):
    panel.go.click()
    assert "12 tokens" in finish(panel)
    expected = model.generate("the and in", max_tokens=12, temperature=1.0, seed=0)
    assert panel.result.tokens == expected.tokens
    assert panel.result.text == expected.text
    assert panel.state == "done"


def test_the_template_and_the_system_prompt_are_used(panel, model):
    panel.template.value, panel.system.value = True, "Be brief."
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "the and in"}]
    assert panel.prompt_ids() == model.chat_prompt(messages).ids
    panel.template.value = False
    assert panel.prompt_ids() == model.tokenize("the and in")
    assert panel.system.disabled


def test_alternatives_are_the_softmax_of_the_logits(panel, model):
    panel.go.click()
    finish(panel)
    at = 5
    row = model.logits([*panel.ids, *panel.result.tokens[:at]])[-1].astype(np.float64)
    p = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
    panel.tokens.index = at
    likeliest = np.argsort(-row)[:10].tolist()
    assert [i for i, _ in panel.alternatives(at)] == likeliest
    assert np.allclose([math.exp(x) for _, x in panel.alternatives(at)], p[likeliest], rtol=1e-3)
    assert f"{100 * p[likeliest[0]]:.1f} %" in panel.others.labels[0]
    assert f"{100 * p[panel.result.tokens[at]]:.1f} %" in panel.about.value


def test_a_branch_keeps_what_was_before_and_goes_on_from_the_alternative(panel, model):
    panel.go.click()
    finish(panel)
    before = panel.result.tokens
    panel.tokens.index = 4
    panel.others.index = 3
    token = panel.alternatives(4)[3][0]
    panel.branch.click()
    finish(panel)
    kept = [*before[:4], token]
    assert panel.result.tokens[:5] == kept
    rest = model.generate([*panel.ids, *kept], max_tokens=12, temperature=1.0, seed=0)
    assert panel.result.tokens[5:] == rest.tokens
    assert panel.result.text == model.tokenizer.decode(panel.result.tokens, special=False)


def test_a_branch_without_a_choice_says_what_to_do(panel):
    panel.branch.click()
    assert "Choose a token" in panel.message


def test_stopping_keeps_what_was_made(panel, model, monkeypatch):
    stream = model.stream

    def stopping(*args, **options):
        for n, chunk in enumerate(stream(*args, **options)):
            yield chunk
            if n == 3:
                panel.halt.click()

    monkeypatch.setattr(model, "stream", stopping)
    panel.go.click()
    message = finish(panel)
    assert panel.state == "stopped"
    assert "stopped" in message
    assert 4 <= len(panel.result.tokens) < 12
    assert panel.result.finish_reason == "stopped"
    assert len(panel.tokens.labels) == len(panel.result.tokens)


def test_a_model_without_a_template_continues_the_text_and_says_so(tmp_path):
    path = tiny(tmp_path / "plain.gguf", metadata={"tokenizer.chat_template": None})
    with Model(path, n_threads=1) as m:
        panel = GeneratePanel(m, max_tokens=4)
        assert not panel.template.value
        assert "no chat template" in panel.message
        panel.go.click()
        assert "4 tokens" in finish(panel)
        panel.template.value = True  # the built-in one
        assert "built-in" in panel.message
        panel.go.click()
        finish(panel)
        assert panel.state == "done"


def test_a_template_that_does_not_compile_is_said(tmp_path):
    path = tiny(tmp_path / "broken.gguf", metadata={"tokenizer.chat_template": "{% for %}"})
    with Model(path, n_threads=1) as m:
        panel = GeneratePanel(m, max_tokens=4)
        panel.go.click()
        assert "chat template" in finish(panel)
        assert panel.state == "error"
        panel.template.value = False
        panel.go.click()
        finish(panel)
        assert panel.state == "done"


def test_a_prompt_that_does_not_fit_or_is_empty_is_said(panel):
    panel.prompt.value = "the " * 500
    panel.go.click()
    assert "context holds" in finish(panel)
    panel.prompt.value = "the"
    panel.go.click()
    finish(panel)
    assert panel.state == "done"


def test_a_model_that_gives_nan_is_said(nan_file):
    with Model(nan_file, n_threads=1) as m:
        panel = GeneratePanel(m)
        panel.go.click()
        assert "not finite" in finish(panel)
        assert panel.state == "error"
        assert not panel.go.disabled


def test_the_whole_vocabulary_of_gemma_is_no_burden(tmp_path):
    path = tiny(tmp_path / "wide.gguf", tokens=262144, width=32, ff=32, layers=1)
    with Model(path, n_threads=1) as m:
        panel = GeneratePanel(m, "the", max_tokens=5, temperature=1.0)
        panel.go.click()
        finish(panel)
        assert panel.state == "done"
        panel.tokens.index = 2
        assert len(panel.others.labels) == 10
        assert len(panel.tokens.sheet.value) < 10_000


def test_markup_in_an_answer_is_text(panel):
    from llama_gguf.panels.parts import pre, visible

    assert "<script>" not in pre("<script>alert(1)</script>\nnext")
    assert "\nnext" in pre("<script>\nnext")
    assert visible(b" a\n") == "␣a↵"
    assert visible(b"\xe2\x82") == "⟨e2 82⟩"
    assert visible(b"") == "∅"
