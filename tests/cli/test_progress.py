"""The bar of commands that take a while: on a terminal only, and out of the way when it is done."""

import io

import pytest

from llama_gguf.cli import _progress


class Screen(io.StringIO):
    """A stderr that says whether it is a terminal."""

    def __init__(self, terminal):
        super().__init__()
        self.isatty = lambda: terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_drawn_on_terminals_alone(terminal, monkeypatch):
    screen = Screen(terminal)
    monkeypatch.setattr("sys.stderr", screen)
    with _progress.progress_bar("window") as bar:
        assert (bar is _progress.nothing) != terminal
        bar(4, 4, "perplexity 9")
    drawn = screen.getvalue()
    assert "window" in drawn and drawn.endswith(" \r") if terminal else not drawn


def test_without_a_stderr_there_is_no_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with _progress.progress_bar() as bar:
        assert bar is _progress.nothing and bar(1, 2) is None
