"""Traces: a text's pass, and those of the tokens after it."""

from ..errors import ModelError
from ..sampling import Sampler
from .passes import Pass
from .session import GIGA, TraceSession


class Trace(Pass):
    """The pass over `ids`, with room for `max_tokens` after them.

    names: watch these values only, and keep them as they go by: names, patterns, or a function of a name. Whatever
    does not hide them stays fused, so that the pass is about as fast, and rounds, as without a trace. None: all can be
    seen, nothing is fused, none is kept before it is asked for.
    """

    def __init__(self, model, ids, names=None, max_tokens=0):
        if not ids:
            raise ModelError("there are no tokens to trace; give at least one (or a text)")
        if max_tokens < 0:
            raise ValueError(f"max_tokens must not be negative, not {max_tokens}")
        names = None if names is None or (isinstance(names, list | tuple) and not names) else names
        self.model, self.max_tokens = model, max_tokens
        session = TraceSession(model, len(ids), max_tokens, names)
        kept = session.names.select(names) if names is not None else []
        self.nbytes = session.bytes_of_work(len(ids)) + session.bytes_of(kept, len(ids))
        session.need_memory(self.nbytes, f"for {len(ids)} tokens and {len(kept)} kept values")
        super().__init__(session, ids, kept)

    @property
    def graph(self):
        """The plan of this trace; prints as a table, with the model file's line behind each step."""
        return self._planned

    @property
    def tokens(self):
        """The texts of the tokens."""
        return [self.model.detokenize([i]) for i in self.ids]

    def extend(self, ids):
        """The pass over further tokens, after this one and those it was extended by before, which are over then."""
        if not 0 < len(ids) <= self.session.batch:
            raise ModelError(f"a step takes 1 to {self.session.batch} tokens here, not {len(ids)}")
        self.session.at.finish()
        return Step(self.model, self.session, ids, self.kept)

    def generate(self, max_tokens=None, *, ends=True, **sampling):
        """Steps, one for each token sampled: a pass that has read it, to be watched and edited before the next one.

        max_tokens: as many as the trace has room for, or fewer. ends: stop before an end-of-text token. `sampling`: as
        in Model.generate; the token after a step is chosen by its logits, with all edits.
        """
        room = self.session.n_ctx - len(self.session)
        count = min(self.max_tokens, room) if max_tokens is None else max_tokens
        if not 0 <= count <= room or (not count and max_tokens is None):
            raise ModelError(f"there is room for {room} more tokens; make the trace with max_tokens=... of them")
        sampler = Sampler(**sampling)
        return self._generate(count, sampler, self.model.tokenizer.eog if ends else ())

    def _generate(self, count, sampler, ends):
        stream, history = self.model.tokenizer.stream(), [*self.session.tokens[0]]
        step = self.session.at
        for _ in range(count):
            token = sampler.sample(step.logits[-1], history)
            if token in ends:
                return
            history.append(token)
            step = self.extend([token])
            step.text = stream.push(token)
            yield step
        step.complete()

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        """Run on until what is to be kept has been made."""
        if kind is None:
            self.session.at.complete()

    def __repr__(self):
        n, done, steps = len(self.ids), self._done, len(self._planned.tasks)
        return (
            f"<{type(self).__name__} of {n} token{'s' * (n != 1)} through {self.model.metadata.arch}: "
            f"{done} of {steps} steps done, {len(self.names)} values to see, "
            f"{len(self._edits)} edited, {self.nbytes / GIGA:.3f} GB>"
        )


class Step(Pass):
    """The pass over tokens that come after a trace's text; `text` is what a generated one adds."""

    text = ""

    def __init__(self, model, session, ids, kept):
        self.model = model
        super().__init__(session, ids, kept)

    @property
    def token(self):
        """The last token that it reads."""
        return self.ids[-1]

    def __repr__(self):
        return f"<Step {self.token} {self.text!r} at position {self.start + len(self.ids) - 1}>"
