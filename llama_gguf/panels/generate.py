"""Generate: a prompt, an answer as it is made, and what the model would have said instead."""

import math
import time

from llama_gguf.errors import Cancelled
from llama_gguf.generation import Chunk, collect
from llama_gguf.panels import parts
from llama_gguf.panels.base import Panel
from llama_gguf.panels.chips import Chips

TEMPLATE = "tokenizer.chat_template"
MOST_CHIPS = 400
TOP = 10


class GeneratePanel(Panel):
    """`result` is the last answer (a generation.Result), `chunks` its pieces, each with its alternatives.

    Choosing a token of the answer lists what the model found likely there; "Branch" goes on from one of those.
    """

    title, kind = "Generate", "generate"

    def build(self, prompt="The capital of France is", max_tokens=64, **settings):
        self.result, self.chunks, self.ids = None, [], []
        self.prompt = parts.area("Prompt", "prompt", prompt, "The text to continue, or the question to answer")
        self._build_template(settings.pop("template", None), settings.pop("system", ""))
        self._build_settings(max_tokens, settings)
        self.go = parts.button("Generate", "generate", "Make an answer", "primary")
        self.halt = parts.button("Stop", "stop", "Stop after the token that is being made")
        self.answer = parts.html("answer", parts.pre(""))
        self.tokens = Chips("tokens", "The tokens of the answer: choose one to see its alternatives")
        self.others = Chips("alternatives", "The likeliest tokens at this place", bars=True)
        self.about = parts.html("about")
        self.branch = parts.button("Branch", "branch", "Keep what is before, take the chosen token, and go on from it")
        self.after = parts.column(self.about, self.others, self.branch, hidden=True)
        self.actions, self.stops = [self.go, self.branch, self.tokens, self.others], [self.halt]
        self.on(self.go, self.generate)
        self.on(self.halt, self.stop)
        self.on(self.branch, self.go_on)
        self.on(self.tokens, self._chosen)
        return [
            self.prompt, parts.row(self.template, self.system), self.sliders, parts.row(self.go, self.halt),
            self.answer, self.tokens, self.after,
        ]  # fmt: skip

    def _build_template(self, template, system):
        there = TEMPLATE in self.model.metadata
        tip = "Put the prompt through the model's chat template" + ("" if there else "; this file has none of its own")
        self.template = parts.check("Chat template", "template", there if template is None else template, tip)
        self.system = parts.text("System", "system", system, "What the model is told before the prompt")
        self.system.layout.width = "640px"
        self.on(self.template, self._template_changed)
        self.system.disabled = not self.template.value
        if not there:
            self.say("This file has no chat template: the prompt is continued as it stands.", "note")

    def _template_changed(self):
        self.system.disabled = not self.template.value
        if self.template.value:
            self.say(f"Chat template: {self.model.chat_template.source}")

    def _build_settings(self, max_tokens, settings):
        most = max(512, max_tokens)
        self.settings = {
            "max_tokens": parts.slider("Tokens", "max-tokens", max_tokens, 1, most, 1, "At most so many"),
            **parts.sampling_sliders(temperature=0.0),
            "seed": parts.slider("Seed", "seed", 0, 0, 9999, 1, "The same seed gives the same text again"),
        }
        for name, value in settings.items():
            self.settings[name].value = value
        self.sliders = parts.row(*self.settings.values())

    # making an answer

    def prompt_ids(self):
        """Token ids of the prompt, through the template if that is on."""
        if not self.template.value:
            return self.model.tokenize(self.prompt.value)
        system = [{"role": "system", "content": self.system.value}] if self.system.value else []
        return self.model.chat_prompt([*system, {"role": "user", "content": self.prompt.value}]).ids

    def generate(self):
        """Answer the prompt; what the button does."""
        self._begin(lambda: (self.prompt_ids(), []))

    def go_on(self):
        """Keep the answer up to the chosen token, put the chosen alternative there, and go on."""
        at, chosen = self.tokens.index, self.others.index
        if at is None or chosen is None:
            self.say("Choose a token of the answer, and one of its alternatives, first.", "note")
            return
        at += self._first
        kept, (token, logprob) = self.chunks[:at], self.alternatives(at)[chosen]
        self._begin(lambda: (self.ids, [*kept, replaced(self.chunks[at], token, logprob)]))

    def _begin(self, start):
        def work(job):
            self._clear()
            self.ids, kept = start()
            try:
                self._stream(job, kept)
            except Cancelled:
                raise Cancelled(self.summary()) from None
            return self.summary()

        self.run(work, "reading the prompt …")

    def _stream(self, job, kept):
        settings = {name: widget.value for name, widget in self.settings.items()}
        made, self.chunks, words = [], list(kept), self.model.tokenizer.stream()
        text = "".join(words.push(c.token) for c in kept)  # not chunk.text: a character may begin in what was kept
        chunks = self.model.stream([*self.ids, *(c.token for c in kept)], reuse=True, top_logprobs=TOP, **settings)
        begun = time.perf_counter()
        try:
            for chunk in chunks:
                made.append(chunk)
                if chunk.token is not None:
                    self.chunks.append(chunk)
                    text += words.push(chunk.token)
                job.show(self.answer, value=parts.pre(text + "▍"))
                job.show(self.status, value=f'<div role="status">{speed(len(made), begun)}</div>')
                job.check()
        finally:
            chunks.close()
            text += words.flush()
            job.show(self.answer, value=parts.pre(text))
            self._finish(made, text)

    def _finish(self, made, text):
        self.fill_tokens()
        self.result = collect(made) if made else None
        if made:
            self.result.text, self.result.tokens = text, [c.token for c in self.chunks]
            self.result.finish_reason = self.result.finish_reason or "stopped"

    def summary(self):
        """How much was made, how fast, and why it ended."""
        r, why = self.result, {"stop": "the model ended", "length": "as long as was asked for"}
        if r is None:
            return "stopped"
        told = f"{len(self.chunks):,} tokens · {r.tokens_per_second:.1f} tokens/s"
        read = f"prompt of {r.prompt_tokens:,} at {r.prompt_tokens_per_second:.0f} tokens/s"
        ended = {**why, "context": "the context is full"}.get(r.finish_reason, r.finish_reason)
        return f"{told} · {read} · {ended}"

    # what else it could have been

    def alternatives(self, at):
        """[(token, log probability)] of the likeliest tokens where the answer's token number `at` stands."""
        return self.chunks[at].logprobs[1:]

    @property
    def _first(self):
        """Where the buttons begin: a long answer has some for its end only."""
        return max(0, len(self.chunks) - MOST_CHIPS)

    def fill_tokens(self):
        """A button for each token of the answer, tinted where the model was not sure."""
        shown = self.chunks[self._first :]
        sure = [math.exp(c.logprobs[0][1]) for c in shown]
        words, tips = [self._word(c.token) for c in shown], [f"{100 * s:.1f} %" for s in sure]
        self.tokens.fill(words, tips, [1 - s for s in sure])

    def _word(self, token):
        return parts.visible(self.model.tokenizer.piece(token))

    def _clear(self):
        self.result = None
        self.tokens.fill([])
        parts.show(self.after, False)

    def _chosen(self):
        if self.job is not None:
            return
        at = self.tokens.index + self._first
        here, found = self.chunks[at], self.alternatives(at)
        shares = [math.exp(logprob) for _, logprob in found]
        labels = [f"{self._word(i)}  {100 * p:.1f} %" for (i, _), p in zip(found, shares, strict=True)]
        tips = [f"id {i}, log probability {logprob:.3f}" for i, logprob in found]
        taken = next((n for n, (i, _) in enumerate(found) if i == here.token), None)
        self.others.fill(labels, tips, shares, taken)
        word, chance = parts.escaped(self._word(here.token)), math.exp(here.logprobs[0][1])
        told = f"Token {at + 1} is <code>{word}</code>, with a probability of {100 * chance:.1f} %."
        self.about.value = f"{told} The likeliest at this place:"
        parts.show(self.after)


def replaced(chunk, token, logprob):
    """A chunk as if another token had been drawn."""
    return Chunk("", token, logprobs=[(token, logprob), *chunk.logprobs[1:]])


def speed(n, begun):
    seconds = time.perf_counter() - begun
    return f"{n:,} tokens · {n / seconds if seconds else 0:.1f} tokens/s"
