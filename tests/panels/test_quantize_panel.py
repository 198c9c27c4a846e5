"""The Quantize panel offers what can be, says why the rest cannot, writes whole files or none."""

import threading

import pytest

from llama_gguf import Model
from llama_gguf.gguf import GGUFFile
from llama_gguf.panels import QuantizePanel, quantize
from llama_gguf.testing import tiny

from .conftest import finish


@pytest.fixture
def panel(wide_file, tmp_path):
    with Model(wide_file, n_threads=1) as m:
        yield QuantizePanel(m, target=str(tmp_path / "new.gguf"))


def test_types_that_need_importance_are_grey_and_say_why(panel):
    assert not panel.types["Q4_K_M"].disabled
    assert panel.types["IQ2_XXS"].disabled
    assert "importance" in panel.types["IQ2_XXS"].tooltip
    assert "IQ2_XXS" in panel.banner.value
    assert "Good choices here" in panel.banner.value


def test_sizes_are_those_of_the_files(panel):
    panel.types["Q8_0"].click()
    assert panel.chosen == "Q8_0"
    assert panel.types["Q8_0"].button_style == "info"
    assert panel.types["Q4_K_M"].button_style == ""
    panel.go.click()
    assert "wrote" in finish(panel)
    with GGUFFile(panel.result.paths[0]) as file:
        assert sum(t.n_bytes for t in file.tensors.values()) == panel.plan.n_bytes
        assert "Q8_0" in {t.type.name for t in file.tensors.values()}


def test_what_was_written_is_compared_with_the_source(panel):
    panel.compare.click()
    assert "Quantize first" in panel.message
    panel.types["Q8_0"].click()
    panel.go.click()
    finish(panel)
    panel.compare.click()
    assert "KL" in finish(panel)
    assert panel.state == "done"
    assert 0 < panel.divergence.kl < 0.05
    assert panel.view.value


def test_an_existing_file_stays_unless_it_is_to_be_replaced(panel, tmp_path):
    (tmp_path / "new.gguf").write_bytes(b"mine")
    panel.go.click()
    finish(panel)
    assert panel.state == "error"
    assert (tmp_path / "new.gguf").read_bytes() == b"mine"
    panel.force.value = True
    panel.go.click()
    assert "wrote" in finish(panel)


def test_cancelling_leaves_nothing_behind(panel, tmp_path, monkeypatch):
    advance = panel.advance

    def cancelling(job, part, message=None):
        panel.halt.click()
        advance(job, part, message)

    monkeypatch.setattr(panel, "advance", cancelling)
    panel.go.click()
    assert "nothing was written" in finish(panel)
    assert panel.state == "stopped"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    panel.go.click()
    assert "wrote" in finish(panel)


def test_importance_is_collected_from_a_text_and_opens_the_low_types(panel, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the and in the " * 60)
    panel.importance.value = str(text)
    panel.use.click()
    finish(panel)
    assert panel.state == "done"
    assert "output.weight" in panel.imatrix or "token_embd.weight" in panel.imatrix
    assert not panel.types["IQ2_XXS"].disabled
    panel.types["IQ2_XXS"].click()
    panel.go.click()
    assert "wrote" in finish(panel)


def test_a_quantized_source_is_refused_until_one_insists(tmp_path):
    path = tiny(tmp_path / "q.gguf", type="Q8_0")
    with Model(path, n_threads=1) as m:
        panel = QuantizePanel(m)
        assert panel.types["Q4_0"].disabled
        assert "already" in panel.types["Q4_0"].tooltip
        panel.again.value = True
        finish(panel)
        assert not panel.types["Q4_0"].disabled


def test_a_source_that_is_not_there_is_said(panel):
    good = panel.source.value
    panel.source.value = "/no/such/file.gguf"
    assert "no/such" in finish(panel)
    assert panel.state == "error"
    assert panel.go.disabled
    assert panel.types["Q8_0"].disabled
    panel.source.value = good
    finish(panel)
    assert not panel.go.disabled
    assert not panel.types["Q8_0"].disabled


def test_what_may_be_downloaded_is_looked_at_beside_the_notebook(panel, wide_file, monkeypatch):
    seen = []

    def resolve(name):
        seen.append((name, threading.current_thread() is threading.main_thread(), panel.go.disabled))
        return wide_file

    monkeypatch.setattr(quantize, "resolve", resolve)
    panel.source.value = "somebody/something"
    assert "types are possible" in finish(panel)
    assert seen == [("somebody/something", False, True)]
    assert panel.state == "done" and not panel.types["Q4_K_M"].disabled and not panel.source.disabled


def test_the_comparison_is_with_the_file_it_was_made_of_and_can_be_stopped(panel, wide_file, tmp_path, monkeypatch):
    panel.types["Q8_0"].click()
    panel.go.click()
    finish(panel)
    panel.source.value = str(tiny(tmp_path / "other.gguf", tokens=300))
    finish(panel)
    panel.compare.click()
    assert "KL" in finish(panel)
    assert panel.divergence.base == str(wide_file)
    advance, told = panel.advance, []

    def stopping(job, part, message=None):
        told.append(part)
        panel.halt.click()
        advance(job, part, message)

    panel.text.value = "the and in the " * 400
    monkeypatch.setattr(panel, "advance", lambda job, part, message=None: (stopping if part else advance)(job, part))
    panel.compare.click()
    finish(panel)
    assert panel.state == "stopped" and len(told) == 1 and 0 < told[0] < 1


def test_a_matrix_that_is_none_is_said(panel, tmp_path):
    (tmp_path / "odd.dat").write_bytes(b"\xff" * 40)
    panel.importance.value = str(tmp_path / "odd.dat")
    panel.use.click()
    finish(panel)
    assert panel.state == "error"
    assert not panel.go.disabled
