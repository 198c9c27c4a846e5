"""Make: from a model's folder, its file or its name to a set of quantized files with a card, in one go."""

from pathlib import Path

from llama_gguf.errors import LlamaGGUFError, ModelError
from llama_gguf.gguf.reprs import size
from llama_gguf.make import make
from llama_gguf.makeable import look
from llama_gguf.panels import banner, parts
from llama_gguf.panels.base import Panel
from llama_gguf.panels.quantize import MATRICES
from llama_gguf.pictures import table
from llama_gguf.quantize import FILE_TYPES, Imatrix


class MakePanel(Panel):
    """`model` may be a Model, a path or NAME, or None; `found` is the makeable.Makeable of the last check, `chosen`
    the list of types to make, `card` the dict that `make` returned.

    A type that cannot be is a grey button; its tooltip says why.
    """

    title, kind, needs_model = "Make", "make", False

    def build(self, source=None, folder="made", types=("Q8_0", "Q4_K_M"), text=""):
        self.found, self.card = None, None
        given = source or getattr(self.model, "path", self.model) or ""
        self.source = parts.text("Source", "source", str(given),
                                 "A model folder, a GGUF file in F32, F16 or BF16, or a name on the Hub of either")
        self.text = parts.text("Importance", "calibration", str(text),
                               "A text file to make an importance matrix of, or a matrix (.gguf, .dat); may be empty")
        self.folder = parts.text("Write into", "folder", str(folder), "The folder of the files and their card")
        self.folder.layout.width = "640px"
        self.force = parts.check("Replace", "replace", False, "Replace files that are there")
        self.look = parts.button("Check", "check", "Which types can be made, and what is odd about the source")
        self.go = parts.button("Make", "make", "Convert, measure importance, quantize, compare", "primary")
        self.halt = parts.button("Stop", "stop", "Stop; files that are there by then are whole")
        self.types = {name: parts.button(name, f"type-{name}", f"Make {name}") for name in FILE_TYPES}
        self.banner, self.view = parts.html("banner"), parts.html("card")
        self.actions, self.stops = [self.look, self.go, self.source, self.text], [self.halt]
        self._choose(types)
        for name, button in self.types.items():
            button.layout.width = "200px"
            self.on(button, lambda name=name: self.toggle(name))
        for button, handler in ((self.look, self.check), (self.go, self.make), (self.halt, self.stop)):
            self.on(button, handler)
        for field in (self.source, self.text):
            self.on(field, self._forget)
        return [
            self.source, self.text, parts.row(self.look), self.banner, parts.row(*self.types.values()),
            parts.row(self.folder, self.force), parts.row(self.go, self.halt), self.view,
        ]  # fmt: skip

    def _title(self):
        return f'<span class="lg-head-text">{self.title}</span>'

    # before

    def toggle(self, name):
        """Take a type among those to make, or out of them."""
        self._choose([kind for kind in FILE_TYPES if (kind in self.chosen) != (kind == name)])

    def _choose(self, names):
        unknown = [name for name in names if name not in FILE_TYPES]
        if unknown:
            raise ModelError(f"there is no file type {unknown[0]!r}; there are {', '.join(FILE_TYPES)}")
        self.chosen = list(names)
        for name, button in self.types.items():
            self._dress(name, button)

    def _dress(self, name, button):
        """A button as its type is: chosen or not, and, where that is known, how large or why not."""
        plan = self.found and self.found.plans[name]
        button.button_style = "info" if name in self.chosen else ""
        button.disabled = bool(plan and plan.problems)
        told = f" · {size(plan.n_bytes)}" if plan and not plan.problems else ""
        button.description = f"{'✓ ' if name in self.chosen else ''}{name}{told}"
        if plan:
            button.tooltip = plan.problems[0] if plan.problems else f"{plan.bits_per_weight:.2f} bits per weight"
        else:
            button.tooltip = f"Make {name}"

    def _forget(self):
        """What was found is of another source or text."""
        self.found, self.banner.value = None, ""
        self._choose(self.chosen)

    def _importance(self):
        """(path of a matrix, path of a text), both or one None."""
        path = self.text.value.strip()
        if path and not Path(path).is_file():
            raise ModelError("there is no such file: name a text to make an importance matrix of, or a matrix",
                             path=path)
        return (path, None) if path.endswith(MATRICES) else (None, path or None)

    def check(self):
        """Look at the source on a thread: what can be made of it, and what stands against the rest."""
        source, (matrix, text) = self._given(), self._importance()

        def work(job):
            self._forget()
            try:
                imatrix = Imatrix.load(matrix) if matrix else None
                self.found = found = look(source, imatrix, text, lambda stage: self.advance(job, 0, f"{stage} …"))
            except (LlamaGGUFError, OSError) as error:
                self.banner.value = f'<div role="note" class="lg-error-text">{parts.escaped(error)}</div>'
                raise
            job.check()
            able = [name for name in FILE_TYPES if not found.plans[name].problems]
            lost = [name for name in self.chosen if name not in able]
            self._choose([name for name in self.chosen if name in able])
            self.banner.value = banner.of(found.issues, found.plans, imatrix, press="Check")
            without = f"; not chosen any more: {', '.join(lost)}" if lost else ""
            return f"{found.name}: {size(found.n_bytes)}; {len(able)} of {len(found.plans)} types are possible{without}"

        self.run(work, "looking at the source …")

    def _given(self):
        source = self.source.value.strip()
        if not source:
            raise ModelError("name a source first: a model folder, a GGUF file or a name on the Hub")
        return source

    # doing

    def make(self):
        """Make the chosen types; each file is whole when it appears, and none replaces another unless it is to."""
        source, (matrix, text), types = self._given(), self._importance(), list(self.chosen)
        folder, force = self.folder.value.strip(), self.force.value
        if not folder:
            raise ModelError("name a folder to write into")

        def work(job):
            def told(stage, done, total):
                count = f" {done:,} of {total:,}" if total > 1 else ""
                self.advance(job, done / max(1, total), f"{stage}{count} …")

            self.card, self.view.value = None, ""
            self.card = card = make(
                source, folder, types, imatrix=matrix, text=text, force=force, progress=told,
                cancel=lambda: job.cancelled,
            )  # fmt: skip
            self.view.value = str(card_table(card))
            return f"made {', '.join(file['file'] for file in card['files'])} in {folder}, with README.md and card.json"

        self.run(work, f"making {', '.join(types)} …")


def card_table(card):
    """The files of a card: how large, and how far from the original."""
    encoder = "cosine" in card["files"][0]["check"]
    rows = []
    for f in card["files"]:
        check = f["check"]
        found = (f"{check['cosine']:.5f}",) if encoder else (f"{check['kl']:.5f}", f"{check['same_top']:.1%}")
        rows.append((f["file"], f["type"], size(f["size_bytes"]), f"{f['bits_per_weight']:.2f}", *found))
    measures = ("cosine",) if encoder else ("KL", "same token")
    return table(rows, ("file", "type", "size", "bits per weight", *measures), card["name"])
