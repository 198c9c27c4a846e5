"""Chips: a row or a column of buttons of which one may be chosen, each with a tint or a bar of its own."""

import ipywidgets as W

from llama_gguf.panels.parts import named

CHOSEN = "outline: 2px solid #0072b2; outline-offset: -1px; font-weight: 700"
COLUMN = "display: block; width: 320px; text-align: left"


class Chips(W.VBox):
    """`fill` gives the buttons their texts, `index` is the one chosen or None, `when_chosen(handler)` tells.

    One ToggleButtons holds them all: hundreds of buttons cost one message. It marks what is chosen by its text, which
    tokens share; so the mark is a style here, as tints and bars are.
    """

    def __init__(self, name, tip, bars=False):
        self.buttons = named(W.ToggleButtons(options=[], layout=W.Layout(width="auto")), name, tip)
        self.sheet = W.HTML(layout=W.Layout(display="none"))
        self.bars, self.shares, self._filling, self._handler = bars, (), False, None
        super().__init__([self.buttons, self.sheet])
        self.buttons.observe(self._changed, "index")
        self.group = f"lg-chips-{self.model_id}"
        self.buttons.add_class(self.group)
        self.add_class("lg-chips")

    def fill(self, labels, tips=(), shares=(), index=None):
        """New buttons. shares: 0 ... 1, how strong a tint or how long a bar."""
        self._filling, self.shares = True, tuple(shares)
        try:
            self.buttons.tooltips = ()
            self.buttons.options = [(label, i) for i, label in enumerate(labels)]
            self.buttons.tooltips = tuple(tips)
            self.buttons.index = index
        finally:
            self._filling = False
        self._restyle()

    @property
    def index(self):
        return self.buttons.index

    @index.setter
    def index(self, value):
        self.buttons.index = value

    @property
    def labels(self):
        return [label for label, _ in self.buttons.options]

    @property
    def disabled(self):
        return self.buttons.disabled

    @disabled.setter
    def disabled(self, value):
        self.buttons.disabled = value

    def observe_choice(self, handler):
        """Call `handler(change)` when somebody chooses, not when `fill` does."""
        self._handler = handler

    def _changed(self, change):
        if not self._filling:
            self._restyle()
            if self._handler and self.index is not None:
                self._handler(change)

    def _restyle(self):
        rules = [f".lg-panel .{self.group} button.widget-toggle-button {{ {COLUMN} }}"] if self.bars else []
        for n, part in enumerate(self.shares):
            if ground := (bar if self.bars else tint)(min(1.0, max(0.0, part))):
                rules.append(f"{self._button(n)} {{ {ground} }}")
        if self.index is not None:
            rules.append(f"{self._button(self.index)} {{ {CHOSEN} }}")
        self.sheet.value = f"<style>{' '.join(rules)}</style>"

    def _button(self, n):
        return f".lg-panel .{self.group} button.widget-toggle-button:nth-child({n + 1})"


def tint(share):
    return f"background-color: rgba(230, 159, 0, {0.65 * share:.2f})" if share > 0.02 else ""


def bar(share):
    at = f"{100 * share:.1f}%"
    ground = f"linear-gradient(90deg, rgba(0, 114, 178, .38) {at}, transparent {at})"
    return f"background-image: {ground}; background-repeat: no-repeat"
