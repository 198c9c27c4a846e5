"""The few widgets that panels are made of: each with a class to find it by, a label and a tooltip."""

import ipywidgets as W

from llama_gguf.pictures.frame import text as escaped

STYLE = """<style>
.lg-panel { max-width: 980px; padding: 4px 2px 8px; }
.lg-panel .widget-html-content { line-height: 1.45; }
.lg-panel .lg-head { font-size: 15px; font-weight: 600; }
.lg-panel .lg-faint { opacity: .68; font-weight: 400; font-size: 13px; }
.lg-panel .lg-text-box { font-family: var(--jp-code-font-family, monospace); font-size: 13px; white-space: pre-wrap;
  overflow-wrap: anywhere; margin: 0; padding: 8px 10px; border: 1px solid rgba(128, 128, 128, .35);
  border-radius: 4px; min-height: 3.2em; max-height: 24em; overflow-y: auto; }
.lg-panel .lg-error-text { border-left: 4px solid #d55e00; padding: 2px 8px; }
.lg-panel .lg-note-text { border-left: 4px solid #0072b2; padding: 2px 8px; }
.lg-panel .widget-toggle-buttons .widget-toggle-button { width: auto; min-width: 1.6em; margin: 1px; padding: 0 5px;
  height: 24px; line-height: 22px; box-shadow: none; font-family: var(--jp-code-font-family, monospace);
  color: inherit; background-color: rgba(128, 128, 128, .10); border: 1px solid rgba(128, 128, 128, .25);
  white-space: pre; }
.lg-panel .lg-tensor-list select { font-family: var(--jp-code-font-family, monospace); white-space: pre; }
.lg-panel .lg-beside .widget-html-content > div { display: flex; flex-wrap: wrap; column-gap: 32px; }
.lg-panel .lg-xray .widget-html-content > div > div:first-child { flex-basis: 100%; }
.lg-panel .lg-chips { overflow: visible; }
.lg-panel button:focus-visible { outline: 2px solid #e69f00; outline-offset: 1px; }
</style>"""

WIDE = "100%"


def named(widget, name, tip=None):
    """The widget with its class `lg-NAME` and a tooltip."""
    widget.add_class(f"lg-{name}")
    if tip:  # ipywidgets 8 says tooltip, 7 says so of buttons only
        setattr(widget, "tooltip" if widget.has_trait("tooltip") else "description_tooltip", tip)
    return widget


def button(label, name, tip, style=""):
    return named(W.Button(description=label, button_style=style), name, tip)


def html(name, value=""):
    return named(W.HTML(value, layout=W.Layout(width="auto")), name)


def slider(label, name, value, low, high, step, tip, **options):
    """An IntSlider or, where the step is no whole number, a FloatSlider."""
    kind = W.IntSlider if isinstance(step, int) else W.FloatSlider
    found = kind(
        value, min=low, max=high, step=step, description=label, style={"description_width": "92px"},
        layout=W.Layout(width="300px"), **options,
    )  # fmt: skip
    return named(found, name, tip)


def sampling_sliders(temperature=0.8):
    """The settings of a Sampler, by name."""
    return {
        "temperature": slider(
            "Temperature", "temperature", temperature, 0.0, 2.0, 0.05, "0 takes the likeliest; more is more varied"
        ),
        "top_k": slider("Top-k", "top-k", 40, 0, 200, 1, "Only the k likeliest tokens; 0: all"),
        "top_p": slider("Top-p", "top-p", 0.95, 0.05, 1.0, 0.01, "The fewest tokens that reach p together"),
        "min_p": slider("Min-p", "min-p", 0.05, 0.0, 1.0, 0.01, "Tokens of at least p times the likeliest's chance"),
        "repeat_penalty": slider(
            "Repetition", "repeat-penalty", 1.0, 1.0, 2.0, 0.01, "Makes tokens less likely that were there already"
        ),
    }


def text(label, name, value, tip, **options):
    return named(W.Text(value, description=label, layout=W.Layout(width=WIDE), **wide(), **options), name, tip)


def area(label, name, value, tip, rows=3):
    return named(W.Textarea(value, description=label, rows=rows, layout=W.Layout(width=WIDE), **wide()), name, tip)


def choice(label, name, options, tip, value=None, width="300px"):
    options = list(options)
    found = W.Dropdown(options=options, description=label, layout=W.Layout(width=width), **wide())
    if value is not None:
        found.value = value
    return named(found, name, tip)


def check(label, name, value, tip):
    return named(W.Checkbox(value, description=label, indent=False, layout=W.Layout(width="auto")), name, tip)


def wide():
    return {"style": {"description_width": "92px"}}


def row(*children):
    return W.HBox(children, layout=W.Layout(flex_flow="row wrap", align_items="center"))


def column(*children, hidden=False):
    return W.VBox(children, layout=W.Layout(display="none" if hidden else ""))


def show(widget, shown=True):
    widget.layout.display = "" if shown else "none"


def visible(piece):
    """A token as one can read it on a button: blanks and line ends as signs, parts of a character as hex digits."""
    try:
        word = piece.decode("utf-8") if isinstance(piece, bytes) else piece
    except UnicodeDecodeError:
        return f"⟨{piece.hex(' ')}⟩"
    signs = {" ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍"}
    return "".join(signs.get(c, c if c.isprintable() else f"⟨{ord(c):x}⟩") for c in word) or "∅"


def pre(value, name="text-box"):
    """Text as it stands, escaped, in its lines."""
    lines = "\n".join(escaped(line) for line in value.split("\n"))
    return f'<pre class="lg-{name}" tabindex="0">{lines}</pre>'

