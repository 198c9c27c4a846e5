"""Sampler: one row of logits, held still, and what each step of the sampler leaves of it."""

import numpy as np

from llama_gguf.panels import parts
from llama_gguf.panels.base import Panel
from llama_gguf.pictures import markup, share, table
from llama_gguf.sampling import Sampler

ROWS = 24
NAMES = {
    "logits": "logits", "penalties": "repetition", "top_k": "top-k", "top_p": "top-p", "min_p": "min-p",
    "temperature": "temperature",
}  # fmt: skip


class SamplerPanel(Panel):
    """`logits` (n_vocab,) are those after `ids`; `steps` is what `Sampler.steps` says of them at these settings."""

    title, kind = "Sampler", "sampler"

    def build(self, text="The weather today is", **settings):
        self.logits, self.ids, self.steps = None, [], []
        self.text = parts.text("Text", "text", text, "The sampler chooses what comes after this")
        self.text.layout.width = "620px"
        self.go = parts.button("Compute logits", "freeze", "Run the model once and hold its logits", "primary")
        self.settings = parts.sampling_sliders()
        for name, value in settings.items():
            self.settings[name].value = value
        self.view = parts.html("survivors")
        self.actions = [self.go]
        self.on(self.go, self.freeze)
        for widget in self.settings.values():
            self.on(widget, self.refresh)
        self.say("Compute the logits first; then every slider shows at once what it does.")
        return [parts.row(self.text, self.go), parts.row(*self.settings.values()), self.view]

    def freeze(self):
        """Run the model over the text and hold the last row of logits."""

        def work(job):
            self.model._need_weights()
            self.model._need_decoder()
            ids = self.model.tokenize(self.text.value)
            logits = self.model.session(n_ctx=max(1, len(ids))).forward(ids)[0]
            self.ids, self.logits = ids, logits
            self.refresh()

        self.run(work, "running the model …")

    def sampler(self):
        """A Sampler of these settings."""
        return Sampler(seed=0, **{name: widget.value for name, widget in self.settings.items()})

    def refresh(self):
        """Show the steps again."""
        if self.logits is None:
            return
        self.steps = self.sampler().steps(self.logits, self.ids)
        self.view.value = self.picture()
        first, last = self.steps[0], self.steps[-1]
        kept = first.probabilities[np.isin(first.ids, last.ids)].sum()
        entropy = -(last.probabilities * np.log(np.maximum(last.probabilities, 1e-300))).sum()
        self.say(
            f"{len(last.ids):,} of {len(first.ids):,} tokens survive, with {100 * kept:.1f} % of the probability; "
            f"entropy {abs(entropy):.2f} nats"
        )

    def picture(self):
        """The likeliest tokens, one a row, with their probability after each step; a cross where one is dropped."""
        ids = self.steps[0].ids[:ROWS].tolist()
        where = [dict(zip(s.ids[: 4 * ROWS].tolist(), s.probabilities.tolist(), strict=False)) for s in self.steps]
        rows = [[self._word(i), *cells(i, where)] for i in ids]
        heads = ["token", *(f"{NAMES[s.name]}: {len(s.ids):,}" for s in self.steps)]
        return table(rows, heads)

    def _word(self, i):
        return markup(f"<code>{parts.escaped(parts.visible(self.model.tokenizer.piece(i)))}</code>")


def cells(i, where):
    """A token's share after each step; it is dropped once."""
    found, gone = [], False
    for probabilities in where:
        there = i in probabilities
        found.append(share(probabilities[i], 44) if there else markup('<span style="opacity:.5">–</span>' if gone else
                     '<strong title="dropped by this step">✕</strong>'))
        gone = not there
    return found
