"""The Make panel says what can be made of a source, makes it whole, stops, and outlives what goes wrong."""

import json

import pytest

import llama_gguf.panels
from llama_gguf import GGUFFile, Model
from llama_gguf.make import TEXT
from llama_gguf.panels import MakePanel
from llama_gguf.testing import tiny

from ..hub.test_make import folder_of
from .conftest import finish


@pytest.fixture(autouse=True)
def one_window(monkeypatch):
    monkeypatch.setattr("llama_gguf.make.WINDOWS", 1)


@pytest.fixture
def source(tmp_path):
    return tiny(tmp_path / "small-f16.gguf", type="F16", layers=1, width=256, ff=256, tied=True,
                metadata={"general.name": "small"})


@pytest.fixture
def panel(source, tmp_path):
    return llama_gguf.panels.open(str(source), "make", folder=tmp_path / "out", types=["Q8_0", "Q4_0"])


def test_the_files_of_the_chosen_types_and_their_card_are_made(panel, tmp_path):
    panel.go.click()
    assert "made small-Q8_0.gguf, small-Q4_0.gguf in" in finish(panel)
    assert panel.card == json.loads((tmp_path / "out" / "card.json").read_text())
    for kind in ("Q8_0", "Q4_0"):
        with GGUFFile(tmp_path / "out" / f"small-{kind}.gguf") as file:
            assert file.tensors["blk.0.ffn_up.weight"].type.name == kind
        assert f"small-{kind}.gguf" in panel.view.value
    eight, four = (file["check"] for file in panel.card["files"])
    assert 0 < eight["kl"] < four["kl"]
    assert f"{four['kl']:.5f}" in panel.view.value
    assert "same token" in panel.view.value


def test_a_check_greys_out_what_needs_importance_and_a_text_opens_it(panel, tmp_path):
    panel.look.click()
    assert "types are possible" in finish(panel)
    low = panel.types["IQ2_XXS"]
    assert low.disabled
    assert "useless without importance" in low.tooltip
    assert "IQ2_XXS" in panel.banner.value
    assert "press Check" in panel.banner.value
    assert not panel.types["Q4_K_M"].disabled
    assert panel.chosen == ["Q8_0", "Q4_0"]
    low.click()
    panel.look.click()
    assert "not chosen any more: IQ2_XXS" in finish(panel)
    assert panel.chosen == ["Q8_0", "Q4_0"]
    (tmp_path / "words.txt").write_text(TEXT)
    panel.text.value = str(tmp_path / "words.txt")
    assert panel.banner.value == ""
    panel.look.click()
    finish(panel)
    assert not low.disabled
    panel.types["IQ2_XXS"].click()
    panel.types["Q8_0"].click()
    panel.types["Q4_0"].click()
    panel.go.click()
    assert "made small-IQ2_XXS.gguf in" in finish(panel)
    assert panel.card["importance"]["texts"] == ["words.txt"]
    assert (tmp_path / "out" / "small-imatrix.gguf").is_file()


def test_sizes_of_a_check_are_those_of_the_files(panel):
    panel.look.click()
    finish(panel)
    assert "bits per weight" in panel.types["Q4_0"].tooltip
    panel.go.click()
    finish(panel)
    for file in panel.card["files"]:
        assert round(panel.found.plans[file["type"]].bits_per_weight, 3) == file["bits_per_weight"]


def test_a_folder_is_planned_as_the_file_that_it_would_become(tmp_path):
    folder_of(tmp_path / "Small-Llama")
    panel = MakePanel(None, tmp_path / "Small-Llama", tmp_path / "out", ["Q8_0"])
    panel.look.click()
    assert "types are possible" in finish(panel)
    planned = panel.found.plans["Q8_0"].bits_per_weight
    panel.go.click()
    assert "made " in finish(panel)
    assert panel.card["files"][0]["bits_per_weight"] == round(planned, 3)


def test_nothing_is_replaced_unless_it_is_ticked(panel, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "small-Q4_0.gguf").write_bytes(b"mine")
    panel.go.click()
    assert "exists" in finish(panel)
    assert panel.state == "error"
    assert (tmp_path / "out" / "small-Q4_0.gguf").read_bytes() == b"mine"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["small-Q4_0.gguf"]
    panel.force.value = True
    panel.go.click()
    assert "made small-Q8_0.gguf, small-Q4_0.gguf in" in finish(panel)


def test_stop_leaves_whole_files_only_and_the_stages_are_told(panel, tmp_path, monkeypatch):
    advance, stages = panel.advance, []

    def stopping(job, part, message=None):
        stages.append(message.split()[0])
        if stages[-1] == "Q4_0":
            panel.halt.click()
        advance(job, part, message)

    monkeypatch.setattr(panel, "advance", stopping)
    panel.go.click()
    finish(panel)
    assert panel.state == "stopped"
    assert list(dict.fromkeys(stages)) == ["Q8_0", "Q4_0"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["small-Q8_0.gguf"]
    GGUFFile(tmp_path / "out" / "small-Q8_0.gguf").close()
    assert not panel.go.disabled


@pytest.mark.parametrize("button", ["look", "go"])
def test_a_quantized_source_and_one_that_is_not_there_are_refused(panel, tmp_path, button):
    for source, told in ((tiny(tmp_path / "q.gguf", type="Q8_0"), "quantized already"), ("/no/such.gguf", "no/such")):
        panel.source.value = str(source)
        getattr(panel, button).click()
        assert told in finish(panel)
        assert panel.state == "error"
        assert not panel.go.disabled
    assert ("no/such" in panel.banner.value) == (button == "look")
    assert list(tmp_path.glob("out/*")) == []


def test_what_is_missing_is_said_and_the_panel_goes_on(panel, source):
    panel.text.value = "/no/words.txt"
    panel.go.click()
    assert "no/words.txt" in panel.message
    panel.text.value = ""
    panel.source.value = " "
    panel.look.click()
    assert "name a source" in panel.message
    panel.source.value = str(source)
    for name in ("Q8_0", "Q4_0"):
        panel.types[name].click()
    panel.go.click()
    assert "types to make" in finish(panel)
    panel.look.click()
    assert "types are possible" in finish(panel)


def test_it_opens_without_a_model_and_beside_one(source):
    assert llama_gguf.panels.open(None, "make").source.value == ""
    with Model(source, n_threads=1) as model:
        assert llama_gguf.panels.open(model, "make").source.value == str(source)
