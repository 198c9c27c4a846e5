"""What all panels share: a head, a line that says what goes on, one job at a time, and an end."""

import functools
import logging
import threading
import time

import ipywidgets as W
import traitlets

from llama_gguf.errors import LlamaGGUFError
from llama_gguf.panels import parts
from llama_gguf.panels.chips import Chips
from llama_gguf.panels.jobs import Job
from llama_gguf.pictures import Picture
from llama_gguf.pictures.frame import text as escaped

STATES = "idle", "running", "done", "stopped", "error", "closed"
EXPECTED = LlamaGGUFError, ValueError, KeyError, OSError
"""What a wrong file, name or setting raises; all else is a mistake of ours."""

log = logging.getLogger(__name__)


class Panel(W.VBox):
    """A panel of one model. Subclasses give `title` and the method `build`, which returns the children.

    `state` is what goes on, `message` what the status line says; both can be observed, and `wait` waits. `run(work)`
    does `work(job)` on a thread: buttons in `self.actions` are off meanwhile, those in `self.stops` on.
    """

    title, kind = "", ""
    needs_model = True  # else a path, a name or None does
    state = traitlets.Enum(STATES, "idle")
    message = traitlets.Unicode()
    _lock = None  # until __init__

    def __init__(self, model, *args, **options):
        self.model, self.job, self._next, self._lock = model, None, None, threading.RLock()
        self.actions, self.stops = [], []
        self.sheet = W.HTML(parts.STYLE, layout=W.Layout(display="none"))
        self.head = parts.html("head", self._title())
        self.status = parts.html("status")
        self.progress = parts.named(W.FloatProgress(0.0, min=0.0, max=1.0, layout=W.Layout(width="300px")), "progress")
        parts.show(self.progress, False)
        inside = self.build(*args, **options)
        super().__init__([self.sheet, self.head, *inside, self.progress, self.status])
        for name in ("panel", f"{self.kind}-panel"):
            self.add_class(f"lg-{name}")
        self._busy(False)

    def build(self, *args, **options):
        """Make the widgets; those to show."""
        raise NotImplementedError

    def _title(self):
        name = self.model.metadata.get("general.name") or getattr(self.model.path, "name", self.model.path)
        about = f"{name} · {self.model.metadata.get('general.architecture', '')}"
        return f'<span class="lg-head-text">{self.title} <span class="lg-faint">{escaped(about)}</span></span>'

    # what the panel says

    def say(self, message, kind="plain"):
        """Put a message into the status line; a screen reader says it, too. kind: plain, note, error."""
        self.status.value = (
            f'<div role="{"alert" if kind == "error" else "status"}" class="lg-{kind}-text">{escaped(message)}</div>'
        )
        self.message = message

    def fail(self, error):
        """Say what went wrong; what nobody expects goes into the log with its trace, too."""
        if not isinstance(error, EXPECTED):
            log.error("the %s panel failed", self.kind, exc_info=error)
            self.say(f"{type(error).__name__}: {error}", "error")
        else:
            told = error.args[0] if isinstance(error, KeyError) and error.args else error
            self.say(str(told) or type(error).__name__, "error")

    # events and jobs

    def on(self, widget, handler, trait="value"):
        """Call `handler()` on a click, or when a trait changes by anybody's hand; whatever it raises is shown."""

        @functools.wraps(handler)
        def safe(_):
            if self.state == "closed":
                return
            try:
                handler()
            except KeyboardInterrupt:
                self.say("interrupted", "note")
            except Exception as error:
                self.fail(error)

        if isinstance(widget, W.Button):
            widget.on_click(safe)
        elif isinstance(widget, Chips):
            widget.observe_choice(safe)
        else:
            widget.observe(safe, trait)

    def run(self, work, message="", latest=False):
        """Do `work(job)` on a thread of its own; False where the panel is busy or closed. What it returns is said.

        message: what to say meanwhile. latest: what runs is stopped for it, as one choice in a list takes another's
        place.
        """
        with self._lock:
            if self.state == "closed":
                return False
            if self.job is not None and latest:
                self._next = work, message
                self.job.cancel()
                return True
            if self.job is not None:
                self.say("Still at work: stop it first, or wait.", "note")
                return False
            self.job = Job(work, self._ended)
            self.state = "running"
            self._busy(True)
            self.say(message)
            self.job.start()
            return True

    def stop(self):
        """Tell the job that runs to stop; it does so at its next step."""
        with self._lock:
            if self.job is not None:
                self._next = None
                self.job.cancel()
                self.say("stopping …")

    def wait(self, timeout=None):
        """Wait until nothing runs, and return `state`; an interrupt of the cell stops the job."""
        end = None if timeout is None else time.monotonic() + timeout
        try:
            while self.job is not None and (end is None or time.monotonic() < end):
                self._join(0.05)
        except KeyboardInterrupt:
            self.stop()
            self._join(5.0)
        with self._lock:
            return self.state

    def _join(self, timeout):
        job = self.job
        return job is None or job.join(timeout)

    def _ended(self, end, outcome):
        with self._lock:
            self.job, follows, self._next = None, self._next, None
            if self.state == "closed":
                return
            parts.show(self.progress, False)
            if follows and end != "error":
                self.run(*follows)
                return
            self._busy(False)
            if end == "error":
                self.fail(outcome)
            elif end == "stopped":
                self.say(str(outcome) or "interrupted")
            elif isinstance(outcome, str):
                self.say(outcome)
            self.state = end

    def advance(self, job, part, message=None):
        """Show how far a job is, 0 ... 1, and perhaps say what it does."""
        job.check()
        parts.show(self.progress)
        job.show(self.progress, value=float(part))
        if message:
            job.show(self.status, value=f'<div role="status">{escaped(message)}</div>')

    def _busy(self, busy):
        for widget in self.actions:
            widget.disabled = busy
        for widget in self.stops:
            widget.disabled = not busy

    # the end, and where there are no widgets

    def close(self):
        """Stop what runs and take the widgets away; the model stays open."""
        if self.state == "closed" or self._lock is None:  # the collector closes what was never made, too
            return
        self.stop()
        self.state = "closed"
        for child in self.children:
            child.close()
        super().close()

    def still(self):
        """The panel as static HTML, for pages without widgets: what stands in it now."""
        found = [w.value for w in leaves(self) if isinstance(w, W.HTML) and w.value and w.layout.display != "none"]
        return Picture(f"<div>{''.join(f'<div>{v}</div>' for v in found)}</div>")

    def _repr_mimebundle_(self, include=None, exclude=None, **kwargs):
        shown = {"text/plain": repr(self), "text/html": str(self.still())}
        if self.comm is not None and self._view_name is not None:
            view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
            shown["application/vnd.jupyter.widget-view+json"] = view
        return shown

    _ipython_display_ = None  # ipywidgets 7 would show no HTML beside the view

    def __repr__(self):
        return f"<{type(self).__name__} of {getattr(self.model, 'path', self.model)}: {self.state}>"


def leaves(widget):
    """The widgets inside of a box that hold no others."""
    for child in getattr(widget, "children", ()):
        if hasattr(child, "children"):
            if child.layout.display != "none":
                yield from leaves(child)
        else:
            yield child
