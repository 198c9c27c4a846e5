"""Compare: two files of one model in lock-step, and where the second one goes astray."""

from llama_gguf import Model
from llama_gguf.panels import parts
from llama_gguf.panels.base import Panel

TEXT = (
    "The water cycle describes how water moves between the oceans, the air and the land. Heat from the sun turns water "
    "into vapour; clouds form, and rain brings it back."
)


class ComparePanel(Panel):
    """`model` is looked at beside `base`, a Model or a NAME of one; `damage` is what quant_damage says."""

    title, kind = "Compare", "compare"

    def build(self, base="", text=TEXT):
        self.damage, self._base, self._own = None, None, None
        given = hasattr(base, "tensors")
        if given:
            self._base = base
        name = str(base.path if given else base)
        self.base = parts.text("Compare with", "base", name, "The file of fewest losses: a path, an alias, user/repo")
        self.text = parts.area("Text", "text", text, "The text that both files read")
        self.lens = parts.check("Through the head", "through-head", True, "Also what each layer would predict; slower")
        self.go = parts.button("Compare", "compare", "Run both files over the text", "primary")
        self.halt = parts.button("Stop", "stop", "Stop between the steps")
        self.view = parts.html("damage")
        self.actions, self.stops = [self.go], [self.halt]
        self.on(self.go, self.compare)
        self.on(self.halt, self.stop)
        return [self.base, self.text, parts.row(self.go, self.halt, self.lens), self.view]

    def compare(self):
        """Run both files and show where they part."""

        def work(job):
            base = self._opened(job)
            job.check()
            self.advance(job, 0.5, "reading the text with both files …")
            damage = self.model.quant_damage(base, self.text.value, lens=self.lens.value)
            job.check()
            self.damage = damage
            self.view.value = str(damage._repr_html_())
            return told(damage)

        if not self.base.value.strip():
            self.say("Name the file to compare with first: the same model with fewer losses, such as its Q8_0.", "note")
        else:
            self.run(work, "opening …")

    def _opened(self, job):
        """The base, opened when it is another than before."""
        name = self.base.value.strip()
        if self._base is None or str(self._base.path) != name:
            self.advance(job, 0.1, f"opening {name} …")
            self._drop()
            self._base = self._own = Model.from_pretrained(name)
            self.base.value = str(self._base.path)
        return self._base

    def _drop(self):
        if self._own is not None:
            self._own.close()
        self._base = self._own = None

    def close(self):
        if self.state != "closed" and self._lock is not None:
            super().close()
            if self.job is None:
                self._drop()


def told(damage):
    """A QuantDamage in a line."""
    first = damage.first_divergence()
    where = f"the files part at {first[0]}" if first else "the files do not part"
    changed = f"{len(damage.flipped)} of {len(damage.ids)} predictions changed"
    return f"KL {damage.kl:.5f} nats per token, {changed}; {where}"
