"""One pass over some tokens that stops where somebody wants to look, and takes up what was written there."""

import numpy as np

from ..errors import ModelError

UNASKED = 1 << 24  # bytes that are taken without asking how many are free


class Pass:
    """The tokens `ids` after those that stand in a session (a TraceSession). Names are those of `session.names`.

    The pass advances as values are asked for. A value handed out may be written to until the pass moves on.
    """

    def __init__(self, session, ids, kept=()):
        self.session, self.ids, self.kept = session, list(ids), list(kept)
        self._planned, self._out = session.planned, None
        self.start, self._states = session.cache.lengths[0], session.cache.copy_states(0)
        self._begin()

    def restart(self):
        """Begin again, without any edits. Arrays handed out before stay as they are."""
        self._need_turn()
        self.session.roll_back(0, self.start)
        self._begin()

    def _begin(self):
        s = self.session
        self._args = s.prepare(self._planned, self.ids, [0] * len(self.ids), range(len(self.ids)))
        s.at = self
        self._taken = {}  # task number -> array handed out
        self._open, self._edits = set(), set()  # tasks whose arrays may still be written to; have been
        self._done = 0  # tasks that have run
        self._keep = sorted({s.task(value) for value in self.kept})
        self._slots = None  # what is kept lies in one array: fresh pages are what keeping costs most

    # what people ask for

    @property
    def names(self):
        """Every name that can be asked for, in the order of the pass."""
        return self.session.shown

    def __getitem__(self, name):
        """A value: (tokens, width), attention (heads, queries, keys); a pattern with * stacks what it matches."""
        found = self.session.values(name)
        arrays = [self.shaped(value) for value in found]
        return np.stack(arrays) if is_pattern(name) else arrays[0]

    def __contains__(self, name):
        return name in self.session.names

    def _ipython_key_completions_(self):
        return [*self.names, *self.session.names.hooks()]

    @property
    def logits(self):
        """float32 (tokens, n_vocab), with all edits; runs to the end."""
        self.finish()
        return self._get(len(self._planned.tasks) - 1)

    def shaped(self, value):
        array = self._get(self.session.task(value))
        return array.reshape(len(self.ids), value.heads, -1) if value.heads else array

    def point(self):
        """Where the pass has come to, to `go_back` to as often as wanted: a sweep need not run what comes before."""
        return self._done, self._planned.arena.copy(), self.session.cache.copy_states(0), dict(self._taken)

    def go_back(self, point):
        """Forget what was run and edited since `point`; the value made last may be edited once more."""
        self._need_turn()
        self._done, arena, states, taken = point
        self._planned.arena[:] = arena
        self.session.cache.paste_states(0, states)
        self._taken = {task: array for task, array in taken.items() if task < self._done - 1}
        self._open, self._edits = set(), {task for task in self._edits if task < self._done - 1}
        self._slots = None

    # running

    def finish(self):
        """Run to the end, logits included."""
        self._advance(len(self._planned.tasks))

    def complete(self):
        """Run until all that is to be kept has been made."""
        self._advance(max(self._done, *(task + 1 for task in self._keep), 0))

    def _get(self, task):
        if task in self._taken and task == self._done - 1 and task not in self._open:
            self._open.add(task)  # it was kept, and only now does somebody ask for it
            self._taken[task].flags.writeable = True
        if task not in self._taken:
            if task < self._done - 1:
                self._again(task)
            else:
                self._advance(task)
                self._run_to(task + 1)
                self._taken[task] = self._engine(task).copy()
                self._open.add(task)
        return self._taken[task]

    def _advance(self, stop):
        """Run to `stop`, keeping what was asked for when the pass began."""
        for task in self._keep:
            if self._done <= task < stop:
                self._run_to(task + 1)
                self._store(task)
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
        self._need_turn()
        if stop == len(self._planned.tasks):
            self._make_room_for_logits()
        if self._done == 0:
            self.session.cache.paste_states(0, self._states)
        n, wanted, runs, residual = self._args
        try:
            self._planned.plan.run(n, wanted, runs, self._out, residual, self._done, stop)
        except BaseException:  # buffers may have been used again: the next run begins anew
            self._done, self._edits = 0, self._edits | self._open
            raise
        self._done = stop

    def _need_turn(self):
        if self.session.at is not self:
            raise ModelError("this pass is over, a later one has begun; what is to be kept of it, names=... says")

    def _make_room_for_logits(self):
        if self._out is None:
            if (n_bytes := 4 * len(self.ids) * self.session.width) > UNASKED:
                self.session.need_memory(n_bytes, "for logits")
            self._out = np.empty((len(self.ids), self.session.width), np.float32)

    def _settle(self):
        """The pass moves on: what was written into the value handed out last counts from here, and no more after."""
        last = self._done - 1
        if last in self._open:
            self._open.discard(last)
            array, made = self._taken[last], self._engine(last)
            if not np.array_equal(array.view(np.int32), made.view(np.int32)):  # bits: NaN is as good as a number
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
            return view.reshape(n, t.n[0], -1)[:, :, : self.start + n].transpose(1, 0, 2)
        return view

    def _store(self, task):
        """Keep a value; nobody has asked for it yet."""
        made = self._engine(task)
        if self._slots is None:
            sizes = [self.session.floats(t, len(self.ids), self.start) for t in self._keep]
            whole, ends = np.empty(sum(sizes), np.float32), np.cumsum(sizes)
            self._slots = {t: whole[end - n : end] for t, n, end in zip(self._keep, sizes, ends, strict=True)}
        if task not in self._taken:
            array = self._taken[task] = self._slots[task].reshape(made.shape)
            array[...] = made
            array.flags.writeable = False


def is_pattern(name):
    return isinstance(name, str) and any(c in name for c in "*?[")
