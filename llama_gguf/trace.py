"""Watch and edit the values of a forward pass, by GGUF's names.

    with model.trace("The capital of France is") as t:
        pattern = t["blk.3.attn_pattern"]        # (heads, queries, keys)
        t["blk.5.resid_post"][:] += direction    # takes effect on everything after it
        t.logits                                 # (tokens, n_vocab)

The pass advances as values are asked for: `t[name]` runs the model up to `name` and hands out a copy of what it made.
What you write into that array goes back into the model when the pass moves on; from then on it is read-only. A value
that has gone by is fetched by running again, with all edits so far; it can be read, but no longer changed.
"""

import fnmatch

import numpy as np

from .errors import ModelError
from .session import Session


class Trace:
    """One pass over `ids`. `names`: patterns ("blk.*.resid_post") of values to keep as they go by."""

    def __init__(self, model, ids, names=()):
        if not ids:
            raise ModelError("there are no tokens to trace; give at least one (or a text)")
        self.model, self.ids = model, ids
        self.patterns = [names] if isinstance(names, str) else list(names)
        self._session = TraceSession(model, len(ids))
        self._planned = self._session.planned
        self._where = named_tasks(self._planned, self._session.graph)
        self._out = np.empty((len(ids), self._session.width), np.float32)
        self._args = self._session.prepare(self._planned, ids, [0] * len(ids), range(len(ids)))
        self._taken = {}  # task number -> array handed out
        self._open, self._edits = set(), set()  # tasks whose arrays may still be written to; have been
        self._done = 0  # tasks that have run
        kept = {self._where[name] for p in self.patterns for name in self._match(p)}
        self._kept = sorted(kept)

    @property
    def names(self):
        """Every name that can be asked for, in the order of the pass."""
        return sorted(self._where, key=self._where.get)

    def __getitem__(self, name):
        """A value: (tokens, width), attention (heads, queries, keys); a pattern with * stacks what it matches."""
        found = self._match(name)
        arrays = [self._get(self._where[n]) for n in found]
        return arrays[0] if len(found) == 1 and found[0] == name else np.stack(arrays)

    def _match(self, name):
        if name in self._where:
            return [name]
        if found := [n for n in self.names if fnmatch.fnmatchcase(n, name)]:
            return found
        layers = {n.split(".", 2)[2] for n in self._where if n.startswith("blk.0.")}
        raise KeyError(f"no value is called {name!r}; in each layer there are {', '.join(sorted(layers))}")

    @property
    def logits(self):
        """float32 (tokens, n_vocab), with all edits; runs to the end."""
        last = len(self._planned.tasks) - 1
        self._advance(last + 1)
        return self._get(last)

    def _get(self, task):
        if task not in self._taken:
            if task < self._done - 1:
                self._again(task)
            else:
                self._advance(task)
                self._run_to(task + 1)
                self._take(task)
        return self._taken[task]

    def _advance(self, stop):
        """Run to `stop`, keeping what was asked for when the trace was made."""
        for task in self._kept:
            if self._done <= task < stop:
                self._run_to(task + 1)
                self._take(task)
        self._run_to(stop)

    def _run_to(self, stop):
        """Run tasks up to `stop`, with all edits in their places."""
        self._settle()
        for at in sorted(e for e in self._edits if self._done <= e < stop):
            self._run(at + 1)
            self._engine(at)[...] = self._taken[at]
        self._run(stop)

    def _run(self, stop):
        if stop <= self._done:
            return
        n, wanted, runs, residual = self._args
        try:
            self._planned.plan.run(n, wanted, runs, self._out, residual, self._done, stop)
        except BaseException:  # buffers may have been used again: the next run begins anew
            self._done, self._edits = 0, self._edits | self._open
            raise
        self._done = stop

    def _settle(self):
        """The pass moves on: what was written into the value handed out last counts from here, and no more after."""
        last = self._done - 1
        if last in self._open:
            self._open.discard(last)
            array, made = self._taken[last], self._engine(last)
            if not np.array_equal(array, made, equal_nan=True):
                self._edits.add(last)
                made[...] = array
            array.flags.writeable = False

    def _again(self, task):
        """A value that has gone by: run from the start with the edits so far, and keep it on the way; read-only."""
        back, self._done = self._done, 0
        self._run_to(task + 1)
        self._taken[task] = self._engine(task).copy()
        self._taken[task].flags.writeable = False
        self._run_to(back)

    def _engine(self, task):
        """The engine's own array of a value, in the shape people see."""
        t, n = self._planned.tasks[task], len(self.ids)
        if task == len(self._planned.tasks) - 1:
            return self._out
        view = self._planned.view(task, n)
        if t.kind in ("scores", "softmax"):
            return view.reshape(n, t.n[0], -1)[:, :, :n].transpose(1, 0, 2)
        return view

    def _take(self, task):
        self._taken[task] = self._engine(task).copy()
        self._open.add(task)

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        """Finish the pass, so that what was kept is complete."""
        if kind is None:
            self._advance(len(self._planned.tasks))


class TraceSession(Session):
    """A session whose plan fuses nothing and shows attention; one step holds the whole text."""

    def __init__(self, model, n):
        self.keys = -(-n // 64) * 64
        most = model.graph.most or self.keys
        super().__init__(model, n_ctx=min(self.keys, most), batch=self.keys, turned_for=model.n_ctx)

    def build(self):
        return super().build(visible=True, keys=self.keys)


def named_tasks(planned, graph):
    """Name of each value to the task that completes it."""
    maker = {t.dst: i for i, t in enumerate(planned.tasks) if t.dst}
    named = {t.name: i for i, t in enumerate(planned.tasks) if t.dst}
    aliases = {name: maker[("x", act.id)] for name, act in graph.names.items() if ("x", act.id) in maker}
    return named | aliases | {"logits": len(planned.tasks) - 1}
