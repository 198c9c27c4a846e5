"""Layers: any value of a pass as a heat map, attention by heads, the logit lens, and what happens without a part."""

import numpy as np

from llama_gguf.errors import ModelError
from llama_gguf.evaluate.rows import kl_of_logits
from llama_gguf.panels import parts
from llama_gguf.panels.base import Panel
from llama_gguf.pictures import heat_map, share, table, together
from llama_gguf.sampling import top_logprobs
from llama_gguf.trace import Names

HEADED = "attn_pattern", "attn_scores"
FIRST = "resid_post"
MOST_TOKENS, MOST_BYTES = 512, 256 << 20
"""Of a text, and of the logits of all its tokens."""

TOP = 8
ALL = "all"


class LayersPanel(Panel):
    """`values` is the activation `name` for `ids`; `before` and `after` are logits (tokens, n_vocab) of an ablation.

    Whatever changes is taken from a new pass: a trace of one value costs about as much as reading the text.
    """

    title, kind = "Layers", "layers"

    def build(self, text="The Eiffel Tower is in the city of", layer=0, activation=FIRST):
        self.ids, self.values, self.before, self.after, self._filling = [], None, None, None, False
        self.model._need_weights()
        h, self.names = self.model.h, list(Names(self.model.graph))
        self.text = parts.text("Text", "text", text, "The text that the model reads")
        self.text.layout.width = "640px"
        self.go = parts.button("Run", "run", "Read the text and show the chosen value", "primary")
        self.layer = parts.slider("Layer", "layer", layer, 0, h.layers - 1, 1, "Which block", continuous_update=False)
        self.activation = parts.choice("Value", "activation", self.in_layer(layer), "Which value of the layer")
        self.activation.value = self.nearest(activation)
        most = max(1, max(h.layer(i).heads or 1 for i in range(h.layers)))
        self.head_number = parts.slider(
            "Head", "head-number", 0, 0, most - 1, 1, "Which attention head", continuous_update=False
        )
        self.position = parts.choice("Token", "position", [(ALL, ALL)], "Put out here only, or at all", width="240px")
        self.ablate = parts.button("Ablate", "ablate", "Set the value to zero, run on, and compare the predictions")
        self.lens = parts.button("Logit lens", "lens", "What each layer would predict")
        self.halt = parts.button("Stop", "stop", "Stop what is going on")
        self.map, self.effect, self.lens_view = map(parts.html, ("map", "effect", "lens-view"))
        for view in (self.effect, self.lens_view):
            view.add_class("lg-beside")
        self.actions, self.stops = [self.go, self.ablate, self.lens], [self.halt]
        for button, action in ((self.go, self.look), (self.ablate, self.put_out), (self.lens, self.look_through)):
            self.on(button, action)
        self.on(self.halt, self.stop)
        self.on(self.layer, self._layer_changed)
        for widget in (self.activation, self.head_number):
            self.on(widget, self._changed)
        self._changed()
        return [
            parts.row(self.text, self.go), parts.row(self.layer, self.activation, self.head_number), self.map,
            parts.row(self.ablate, self.position, self.lens, self.halt), self.effect, self.lens_view,
        ]  # fmt: skip

    @property
    def name(self):
        """GGUF's name of the chosen value."""
        return f"blk.{self.layer.value}.{self.activation.value}"

    def in_layer(self, layer):
        """What its values are called, without the layer, in the order of the pass."""
        scope = f"blk.{layer}."
        return [name.removeprefix(scope) for name in self.names if name.startswith(scope)]

    def nearest(self, name):
        """A value of the chosen layer: the one of this name, or what the layer ends with."""
        known = self.activation.options
        return next(n for n in (name, FIRST, known[-1]) if n in known)

    def _layer_changed(self):
        """Layers of one model may differ: attention here, a state space there."""
        names, before = self.in_layer(self.layer.value), self.activation.value
        if list(self.activation.options) != names:
            self._filling = True
            self.activation.options = names
            self.activation.value = self.nearest(before)
            self._filling = False
        self._changed()

    def _changed(self):
        if self._filling:
            return
        self.head_number.disabled = self.activation.value not in HEADED
        if self.ids:
            self.look()

    def _read(self):
        """The ids of the text; the list of positions follows them."""
        ids = self.model.tokenize(self.text.value)
        most = min(MOST_TOKENS, MOST_BYTES // (4 * self.model.n_vocab))
        if len(ids) > most:
            raise ModelError(f"the text has {len(ids)} tokens; here are shown {most} at most")
        if ids != self.ids:
            self.ids = ids
            self.position.options = [(ALL, ALL), *((f"{i} {p}", i) for i, p in enumerate(self.pieces()))]
        return ids

    def pieces(self):
        return [parts.visible(self.model.tokenizer.piece(i)) for i in self.ids]

    # looking

    def look(self):
        """Show the chosen value of the text, from a new pass."""
        name, head = self.name, self.head_number.value

        def work(job):
            ids = self._read()
            with self.model.trace(ids, names=[name]) as t:
                values = t[name].copy()
            job.check()
            self.values = values
            self.map.value = str(self.picture(name, values, head))
            self._told(name, values)

        self.run(work, f"running up to {name} …", latest=True)

    def picture(self, name, values, head=0):
        """A value as a heat map: tokens by channels, or of one head queries by keys."""
        labels = [f"{i} {p}" for i, p in enumerate(self.pieces())]
        if values.ndim == 3:
            one = np.where(np.isneginf(values[head]), np.nan, values[head])  # what a query may not see
            scores = not name.endswith("pattern")
            limits = {} if scores else {"low": 0.0, "high": 1.0}
            return heat_map(one, labels, labels, f"{name}, head {head}: queries by keys", diverging=scores, **limits)
        return heat_map(values, labels, title=f"{name}: {values.shape[0]} tokens by {values.shape[1]}", diverging=True)

    def _told(self, name, values):
        bad = int(np.isnan(values).sum() + np.isposinf(values).sum())
        finite = values[np.isfinite(values)].astype(np.float64)
        size = np.sqrt(np.square(finite).mean()) if finite.size else float("nan")
        told = f"{name} {values.shape}: root mean square {size:.4g}"
        self.say(f"{told} · {bad:,} values are NaN or infinite" if bad else told, "note" if bad else "plain")

    def look_through(self):
        """What each layer's residuals would predict."""

        def work(job):
            from llama_gguf.lens import logit_lens

            self.lens_view.value = str(logit_lens(self.model, self._read())._repr_html_())
            self.say("the head, applied after each layer")

        self.run(work, "running every layer through the head …")

    # changing

    def put_out(self):
        """Set the chosen value to zero (of attention: of the chosen head), run on, and compare the predictions."""
        name, head, position = self.name, self.head_number.value, self.position.value

        def work(job):
            ids = self._read()
            self.model._need_decoder()
            self.before = self._logits(ids, name)
            job.check()
            where = slice(None) if position == ALL else min(position, len(ids) - 1)
            self.after = self._logits(ids, name, (head, where) if name.endswith(HEADED) else where)
            self.effect.value = str(self.comparison(name))

        self.run(work, f"running without {name} …")

    def _logits(self, ids, name, where=None):
        """Logits of a pass that watches a value, or sets a part of it to zero: both kinds round alike."""
        with self.model.trace(ids, names=[name]) as t:
            part = t[name][() if where is None else where]
            if where is not None:
                part[np.isfinite(part)] = 0.0  # what a query may not see keeps its -inf
            logits = t.logits.copy()
        if np.isnan(logits).any():
            raise ModelError("the logits hold NaN, so there is nothing to compare")
        return logits

    def comparison(self, name):
        """The likeliest tokens after the text, with and without the value, and how far the predictions moved."""
        rows = [top_logprobs(x[-1], TOP) for x in (self.before, self.after)]
        cells = [
            (self._word(a), share(np.exp(p), 60), self._word(b), share(np.exp(q), 60))
            for (a, p), (b, q) in zip(*rows, strict=True)
        ]
        pairs = zip(self.before, self.after, strict=True)
        kl = np.array([kl_of_logits(p, q)[0] for p, q in pairs])
        self.say(f"without {name}: KL {kl[-1]:.4f} nats at the last token, {kl.mean():.4f} on average")
        return together(
            table(cells, ("as it is", "probability", f"without {name}", "probability")),
            heat_map(kl[None], ["KL"], [f"{i} {p}" for i, p in enumerate(self.pieces())],
                     title="How far each prediction moved, in nats", low=0.0),
        )  # fmt: skip

    def _word(self, token):
        return parts.visible(self.model.tokenizer.piece(token))

