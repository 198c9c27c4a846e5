"""Quantize: what can become of a file, checked before it is done; the doing; and what it did to the model."""

from pathlib import Path

from llama_gguf import Model
from llama_gguf.checks import compatibility_issues
from llama_gguf.errors import Cancelled
from llama_gguf.gguf import GGUFFile
from llama_gguf.gguf.reprs import size
from llama_gguf.hub import resolve
from llama_gguf.panels import banner, parts
from llama_gguf.panels.base import Panel
from llama_gguf.panels.compare import TEXT
from llama_gguf.quantize import FILE_TYPES, Imatrix, plan_file, quantize_file

MATRICES = ".gguf", ".dat", ".imatrix"


class QuantizePanel(Panel):
    """`issues` are those of checks.compatibility_issues, `plans` has a quantize.Plan for each file type, `chosen` is
    one of the types, `result` what was written, `original` of which file, `divergence` how far it is from that.

    A type that cannot be is a grey button; its tooltip says why.
    """

    title, kind = "Quantize", "quantize"

    def build(self, source=None, target="", type="Q4_K_M", text=TEXT):
        self.plans, self.chosen, self.imatrix, self.result, self.divergence = {}, type, None, None, None
        self.original = None
        self._build_fields(str(source or self.model.path), target, text)
        self.types = {name: parts.button(name, f"type-{name}", "") for name in FILE_TYPES}
        for name, button in self.types.items():
            button.layout.width = "186px"
            self.on(button, lambda name=name: self.choose(name))
        self.banner, self.plan_view, self.view = map(parts.html, ("banner", "plan", "comparison"))
        self.go = parts.button("Quantize", "quantize", "Write the file", "primary")
        self.halt = parts.button("Cancel", "cancel", "Stop; nothing is left behind")
        self.compare = parts.button("Compare", "compare", "KL divergence of the new file from the source")
        self.actions = [self.go, self.compare, self.use, self.source, self.again]  # one source from end to end
        self.stops = [self.halt]
        self.on(self.go, self.quantize)
        self.on(self.halt, self.stop)
        self.on(self.compare, self.measure)
        self.on(self.use, self.load)
        for field in (self.source, self.again):
            self.on(field, self.look)
        self.check()
        return [
            self.source, parts.row(self.importance, self.use), self.again, self.banner,
            parts.row(*self.types.values()), self.plan_view, parts.row(self.target, self.force),
            parts.row(self.go, self.halt, self.compare), self.text, self.view,
        ]  # fmt: skip

    def _build_fields(self, source, target, text):
        self.source = parts.text("Source", "source", source, "The file to quantize: a path or the name of a model",
                                 continuous_update=False)
        self.importance = parts.text(
            "Importance", "importance", "", "An importance matrix (.gguf, .dat), or a text file to collect one from",
            continuous_update=False,
        )  # fmt: skip
        self.importance.layout.width = "640px"
        self.use = parts.button("Use", "use-importance", "Load the matrix, or collect one by reading the text")
        tip = "Loses more than quantizing its original would"
        self.again = parts.check("Quantize again what is quantized", "again", False, tip)
        self.target = parts.text("Write to", "target", target, "The new file")
        self.target.layout.width = "640px"
        self.force = parts.check("Replace", "replace", False, "Replace the file if there is one")
        self.text = parts.area("Text", "text", text, "What both files read when they are compared", rows=2)

    # before

    def look(self):
        """`check` on a thread: a name may have to be fetched first."""
        self.run(lambda job: self.check(), "looking at the file …")

    def check(self):
        """Look at the source: what may become of it, and what stands against that."""
        self.plans, self.banner.value, self.plan_view.value = {}, "", ""
        path = resolve(self.source.value.strip())
        with GGUFFile(path) as file:
            plans = {name: plan_file(file, name, self.imatrix, requantize=self.again.value) for name in FILE_TYPES}
            self.issues = compatibility_issues(file, imatrix=self.imatrix, weights=False)
            self.path, self.size, self.plans = Path(path), file.size, plans
        for name, plan in plans.items():
            self._dress(self.types[name], name, plan)
        self.banner.value = banner.of(self.issues, self.plans, self.imatrix)
        self.choose(self.chosen, told=False)
        able = sum(not plan.problems for plan in self.plans.values())
        self.say(f"{self.path.name}: {size(self.size)}; {able} of {len(self.plans)} types are possible")

    def _dress(self, button, name, plan):
        button.disabled = self.job is not None or bool(plan.problems)
        button.description = f"{name} · {size(plan.n_bytes)}"
        button.tooltip = plan.problems[0] if plan.problems else f"{plan.bits_per_weight:.2f} bits per weight"

    @property
    def plan(self):
        """The Plan of the chosen type."""
        return self.plans[self.chosen]

    def choose(self, name, told=True):
        """Choose a file type, and show what it means for each kind of tensor."""
        old, self.chosen = self.chosen, name
        self.types[old].button_style, self.types[name].button_style = "", "info"
        self.plan_view.value = banner.plan_table(self.plan)
        if not self.target.value or self.target.value == self._suggested(old):
            self.target.value = self._suggested(name)
        if told:
            self.say(f"{name}: {size(self.plan.n_bytes)}, {self.plan.bits_per_weight:.2f} bits per weight")

    def _suggested(self, name):
        return f"{self.path.stem}-{name}.gguf"

    def load(self):
        """Use the importance matrix of a file, or collect one from a text."""
        path = Path(self.importance.value.strip())

        def work(job):
            if path.suffix in MATRICES:
                self.imatrix = Imatrix.load(path)
            else:
                self.imatrix = self._collect(job, path)
            self.check()

        if not self.importance.value.strip():
            self.imatrix = None
            self.check()
        else:
            self.run(work, f"reading {path.name} …")

    def _collect(self, job, path):
        from llama_gguf.evaluate.windows import text_ids
        from llama_gguf.quantize.collect import CHUNK, collect

        def progress(done, total, perplexity, _):
            told = f", perplexity {perplexity:.2f}" if perplexity else ""
            self.advance(job, done / total, f"collecting importance: chunk {done} of {total}{told}")

        with Model(self.path) as model:
            ids = text_ids(model, path.read_text(encoding="utf-8", errors="replace"))
            chunk = min(CHUNK, max(2, len(ids)), model.n_ctx)
            return collect(model, ids, chunk=chunk, progress=progress, cancel=lambda: job.cancelled, dataset=path.name)

    # doing

    def quantize(self):
        """Write the chosen type; the old file, if there is one, stays until the new one is whole."""
        name, target, force, imatrix = self.chosen, self.target.value.strip(), self.force.value, self.imatrix
        source, again = self.path, self.again.value

        def progress(job):
            return lambda done, total, tensor: self.advance(job, done / max(1, total), f"{tensor} ({size(done)})")

        def work(job):
            self.result, self.original, self.view.value = None, source, ""
            try:
                self.result = r = quantize_file(
                    source, target, name, imatrix, requantize=again, force=force, progress=progress(job)
                )
            except Cancelled:
                raise Cancelled("cancelled; nothing was written") from None
            less = 100 * (1 - r.bytes_after / r.bytes_before)
            return f"wrote {r.paths[0]}: {size(r.bytes_after)}, {less:.0f} % less than {size(r.bytes_before)}"

        self.run(work, f"quantizing to {name} …")

    def measure(self):
        """KL divergence of the new file from the one that it was made of, on the text."""
        if self.result is None:
            self.say("Quantize first; then the new file can be compared with its source.", "note")
            return
        text = self.text.value

        def work(job):
            def progress(found, total):
                self.advance(job, found.chunks / total, f"window {found.chunks} of {total}: KL {found.kl:.5f}")

            with Model(self.original) as base, Model(self.result.paths[0]) as made:
                self.advance(job, 0, "reading the text with both files …")
                self.divergence = d = made.kl_divergence(base, text, progress=progress)
            self.view.value = str(d._repr_html_())
            return f"KL {d.kl:.5f} nats per token over {len(d.kls)} tokens; {100 * d.same_top:.1f} % agree on the next"

        self.run(work, "opening both files …")

    def _busy(self, busy):
        super()._busy(busy)
        self.go.disabled = busy or not self.plans
        for name, button in self.types.items():
            button.disabled = busy or name not in self.plans or bool(self.plans[name].problems)
