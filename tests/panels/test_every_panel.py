"""What holds for each panel: it can be found, read, styled, closed, and it outlives whatever goes wrong."""

import _thread
import html.parser
import sys
import threading
import time

import ipywidgets as W
import pytest

import llama_gguf.panels
from llama_gguf.errors import ModelError
from llama_gguf.panels import PANELS
from llama_gguf.panels.base import Panel

from .conftest import finish


@pytest.fixture(params=PANELS)
def panel(request, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where files are written to, unless told
    return llama_gguf.panels.open(model, request.param)


def inside(widget):
    for child in getattr(widget, "children", ()):
        yield child
        yield from inside(child)


def test_every_control_has_a_class_a_label_and_a_tooltip(panel):
    controls = [w for w in inside(panel) if isinstance(w, (W.ValueWidget, W.Button)) and not isinstance(w, W.HTML)]
    assert len(controls) > 3
    for w in controls:
        names = [c for c in w._dom_classes if c.startswith("lg-")]
        assert names, w
        if isinstance(w, W.FloatProgress):
            continue
        tip = "tooltip" if w.has_trait("tooltip") else "description_tooltip"
        assert getattr(w, tip), names
        assert w.description or isinstance(w, W.ToggleButtons), names
    named = [c for w in controls for c in w._dom_classes if c.startswith("lg-") and "chips" not in c]
    assert len(named) == len(set(named))


def test_a_panel_is_plain_ipywidgets_of_both_major_versions(panel):
    known = {"HTML", "Text", "Textarea", "IntSlider", "FloatSlider", "Button", "Checkbox", "Dropdown", "Select",
             "ToggleButtons", "FloatProgress", "HBox", "VBox", "BoundedIntText", "Label", "Chips"}
    assert {type(w).__name__ for w in inside(panel)} <= known
    assert all(w._model_module == "@jupyter-widgets/controls" for w in inside(panel))


class Strict(html.parser.HTMLParser):
    """Complains about tags that do not close, and about scripts."""

    def __init__(self, markup):
        super().__init__()
        self.open = []
        self.feed(markup)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert tag != "script"
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("br", "img", "input", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_there_is_a_static_page_where_there_are_no_widgets(panel):
    shown = panel._repr_mimebundle_()
    assert panel.title in shown["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in shown
    Strict(shown["text/html"])


def test_a_second_action_is_told_to_wait(panel):
    started, go = threading.Event(), threading.Event()
    assert panel.run(lambda job: (started.set(), go.wait(60)))
    assert started.wait(60)
    assert all(button.disabled for button in panel.actions)
    assert not any(button.disabled for button in panel.stops)
    assert not panel.run(lambda job: pytest.fail("two at once"))
    assert "Still at work" in panel.message
    assert panel.state == "running"
    go.set()
    assert panel.wait(60) == "done"
    assert not any(button.disabled for button in panel.actions)


@pytest.mark.parametrize("error", [ModelError("the weights are odd"), KeyError("blk.9"), RuntimeError("a bug <b>")])
def test_an_error_is_shown_and_the_panel_goes_on(panel, error, caplog):
    def wrong(job):
        raise error

    panel.run(wrong)
    assert panel.wait(60) == "error"
    assert str(error.args[0]) in panel.message
    assert 'role="alert"' in panel.status.value
    assert "<b>" not in panel.status.value
    assert ("Traceback" in caplog.text) == isinstance(error, RuntimeError)
    panel.run(lambda job: None)
    assert panel.wait(60) == "done"


def test_an_interrupt_stops_the_job_and_says_so(panel):
    def interrupted(job):
        raise KeyboardInterrupt

    panel.run(interrupted)
    assert panel.wait(60) == "stopped"
    assert "interrupted" in panel.message


def test_an_interrupt_of_a_cell_that_waits_stops_the_job(panel):
    panel.run(lambda job: [(job.check(), time.sleep(0.01)) for _ in iter(int, 1)])
    threading.Timer(0.2, _thread.interrupt_main).start()
    assert panel.wait(60) == "stopped"


def test_an_interrupt_within_a_callback_leaves_the_panel_alive(panel):
    def handler():
        raise KeyboardInterrupt

    button = W.Button()
    panel.on(button, handler)
    button.click()
    assert "interrupted" in panel.message


def test_stop_stops(panel):
    panel.run(lambda job: [job.check() for _ in iter(int, 1)])
    panel.stop()
    assert panel.wait(60) == "stopped"


def test_a_closed_panel_stops_its_job_and_does_nothing_more(panel):
    ended = threading.Event()

    def work(job):
        try:
            while True:
                job.check()
        finally:
            ended.set()

    panel.run(work)
    panel.close()
    panel.close()
    assert ended.wait(60)
    assert panel.state == "closed"
    assert not panel.run(lambda job: None)


@pytest.mark.parametrize("kind", ["generate", "sampler", "layers"])
def test_a_closed_model_is_said(model, kind):
    panel = llama_gguf.panels.open(model, kind)
    model.close()
    panel.go.click()
    assert "closed" in finish(panel)
    assert panel.state == "error"


def test_a_closed_model_leaves_a_panel_alive(panel, model):
    model.close()
    for button in [w for w in panel.actions if isinstance(w, W.Button)]:
        button.click()
        finish(panel)
    panel.run(lambda job: "alive")
    assert finish(panel) == "alive"


def test_panels_open_by_name(tiny_file):
    panel = llama_gguf.panels.open(str(tiny_file), "sampler")
    assert isinstance(panel, Panel)
    with pytest.raises(ValueError, match=r"there are .*generate"):
        llama_gguf.panels.open(str(tiny_file), "no such panel")
    with pytest.raises(AttributeError):
        llama_gguf.panels.NoPanel  # noqa: B018
    assert set(PANELS.values()) < set(dir(llama_gguf.panels))


def test_ipywidgets_is_imported_when_a_panel_is():
    import subprocess

    code = "import llama_gguf.panels, sys; print('ipywidgets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
