"""A session: the cache of some sequences and the plan that extends them."""

import os
import threading
import weakref

import numpy as np

from .cache import KVCache
from .errors import ModelError
from .lowering import Lowering
from .planner import Planned

BATCH = 256  # tokens of one step at most; longer prompts run in several
LIVE = weakref.WeakSet()  # sessions of this process


def after_fork():
    """In a child the threads that held locks are gone; what they were about is forgotten."""
    for session in LIVE:
        held = not session.lock.acquire(blocking=False)
        session.lock, session.model._lock = threading.RLock(), threading.RLock()
        if held:
            session.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)


class Session:
    """Sequences of one model. Several threads may share a session: steps take turns.

        s = model.session(n_seq=4)
        s.forward(ids, seq=0)              # float32 (1, n_vocab): logits of the last token
        s.step([5, 9], seqs=[0, 1])        # the next token of two sequences at once
    """

    def __init__(
        self, model, n_ctx=None, n_seq=1, kv_type=None, layers=None, batch=BATCH, turned_for=None, states=False
    ):
        """turned_for: positions for which frequencies are chosen, where they depend on that; None: n_ctx.
        states: give what logits would be made of, instead of them; encoders do so always.
        """
        self.model, self.layers = model, part_of(range(model.h.layers), layers)
        n_ctx = model.n_ctx if n_ctx is None else n_ctx
        self.graph = model.trace_graph(self.layers, turned_for or n_ctx, states)
        if self.graph.most and n_ctx > self.graph.most:
            raise ModelError(f"n_ctx={n_ctx} is too many: this model has learned {self.graph.most} positions")
        if not self.graph.causal:
            batch = max(batch, n_ctx)  # queries see what comes later: a text runs in one step
        self.steering = {layer: v for layer, v in model.steering.items() if layer in self.layers}
        self.cache = KVCache(self.graph.caches, n_ctx, n_seq, kv_type or model.kv_type, batch, self.graph.states)
        self.batch = min(batch, max(16, n_ctx))
        self.planned = self.build()
        self.tokens = [[] for _ in range(n_seq)]
        self.lock = threading.RLock()
        self.owner = None  # the stream whose tokens stand in sequence 0
        self._finite = False
        LIVE.add(self)

    def build(self, **how):
        """A plan on this session's cache; `how` goes to Lowering."""
        lowering = Lowering(self.graph, self.model.store, steering=self.steering, **how)
        return Planned(
            lowering, self.model.store, self.cache, capacity=self.batch, n_threads=self.model.n_threads
        )

    @property
    def n_ctx(self):
        return self.cache.n_ctx

    def __len__(self):
        """Positions filled in sequence 0."""
        return self.cache.lengths[0]

    @property
    def ends(self):
        """Does this session make logits (or residuals, its layers being the first part of a model)?"""
        return self.layers.stop == self.model.h.layers

    def reset(self, seq=None):
        """Forget a sequence, or all."""
        with self.lock:
            self.owner = None
            for s in range(self.cache.n_seq) if seq is None else [seq]:
                self.truncate(s, 0)

    def truncate(self, seq, n):
        """Keep the first n positions of a sequence; they run again if windows or states have gone past them."""
        with self.lock:
            self.check_seqs([seq])
            n = max(0, min(n, self.cache.lengths[seq]))
            before = self.tokens[seq][:n]
            kept = self.roll_back(seq, n)
            if kept == n:
                return
            if self.layers.start:
                raise ModelError(f"layers with windows or states cannot go back to {n}; {kept} positions are left")
            self.forward(before[kept:], seq)

    def keep(self, ids, seq=0):
        """Keep of a sequence what `ids` begin with, their last token not counted; how many positions that is.

        Where states have gone past them fewer are left, up to a mark of `forward`; none where windows have, too.
        """
        with self.lock:
            here = self.tokens[seq]
            most = min(len(here), len(ids) - 1)
            same = next((i for i in range(most) if here[i] != ids[i]), most)
            return self.roll_back(seq, same)

    def roll_back(self, seq, n):
        """Keep the first n positions, or where that cannot be those before a mark, or none; how many."""
        kept = self.cache.truncate(seq, n)
        del self.tokens[seq][kept:]
        return kept

    def check_seqs(self, seqs):
        for s in set(seqs):
            if not 0 <= s < self.cache.n_seq:
                raise ModelError(f"there is no sequence {s}; this session has 0 ... {self.cache.n_seq - 1}")

    def forward(self, ids, seq=0, every=False, out=None, mark=False):
        """Append tokens to one sequence; logits of the last one, or of each: float32 (n, n_vocab), `out` if given.

        In a session of later layers `ids` are residuals (n, width); of earlier layers, residuals come back.
        mark: keep the states before the last token, for a sequence that will come back to there. Ignored where there
        are none, and with `every`.
        """
        with self.lock:
            n = len(ids)
            if not n:
                raise ModelError("there are no tokens to run; give at least one (or a text)")
            self.check_seqs([seq])
            start = self.cache.lengths[seq]
            self.cache.need(seq, n)
            every = every or not self.ends
            if out is None:
                out = np.empty((n if every else 1, self.width), np.float32)
            try:
                if mark and self.cache.states and not every:
                    self._forward(ids[:-1], seq, False, out[:0])
                    self.cache.mark(seq)
                    ids = ids[-1:]
                self._forward(ids, seq, every, out)
            except BaseException:
                self.roll_back(seq, start)
                raise
            return out

    def _forward(self, ids, seq, every, out):
        """In chunks of `batch`; the last one gives logits unless `out` is empty, the others if every row is wanted."""
        n = len(ids)
        for at in range(0, n, self.batch):
            part = ids[at : at + self.batch]
            last = at + len(part) == n and len(out)
            wanted = range(len(part)) if every else range(len(part) - 1, len(part)) if last else range(0)
            rows = out[at : at + len(part)] if every else out if last else out[:0]
            self._step(part, [seq] * len(part), wanted, rows)

    def step(self, ids, seqs, wanted=None):
        """Append ids[i] to sequence seqs[i]; logits of the rows `wanted` (default all): float32 (len(wanted), n_vocab).

        Tokens of one sequence stand together. At most `batch` tokens. Earlier layers give all rows, as residuals.
        """
        with self.lock:
            if len(ids) != len(seqs) or not 0 < len(ids) <= self.batch:
                raise ModelError(f"a step takes 1 to {self.batch} tokens with one sequence each, not {len(ids)}")
            self.check_seqs(seqs)
            # a part that ends early has no choice of rows: it gives them all
            wanted = range(len(ids)) if wanted is None or not self.ends else wanted
            if len(wanted) > self.batch or not all(0 <= row < len(ids) for row in wanted):
                raise ModelError(f"wanted rows are at most {self.batch} of 0 ... {len(ids) - 1}")
            out = np.empty((len(wanted), self.width), np.float32)
            before = {s: self.cache.lengths[s] for s in set(seqs)}
            try:
                self._step(ids, seqs, wanted, out)
            except BaseException:
                for s, length in before.items():
                    self.roll_back(s, length)
                raise
            return out

    @property
    def width(self):
        return self.planned.tasks[-1].width

    def _step(self, ids, seqs, wanted, out):
        args = self.prepare(self.planned, ids, seqs, wanted)
        self.cache.absorb(set(seqs))
        self.planned.plan.run(*args[:3], out, args[3])
        if not self._finite and len(out):
            self.check_finite(out)

    def check_finite(self, out):
        """Once a session: weights with NaN give NaN logits, better said than sampled from."""
        if not np.isfinite(out).all():
            raise ModelError(
                "the model gives values that are not finite: a weight or an input holds NaN or infinity "
                "(check_tensors=True tells whether a weight does, and which)",
                path=self.model.path,
            )
        self._finite = True

    def prepare(self, planned, ids, seqs, wanted):
        """Write a step's lists into the plan; the arguments of Plan.run."""
        token, position, want, run_start, run_seq = planned.plan.lists
        n, runs, residual = len(ids), 0, None
        if self.layers.start:
            residual = np.ascontiguousarray(ids, np.float32)
            width = self.graph.names["residual_in"].width
            if residual.shape != (n, width):
                raise ModelError(f"residuals must have shape ({n}, {width}), not {residual.shape}")
        else:
            self.model.check_ids(ids)
            token[:n] = ids
        at = 0
        while at < n:
            seq, end = seqs[at], at + 1
            while end < n and seqs[end] == seq:
                end += 1
            start = self.cache.extend(seq, end - at)
            position[at:end] = start if end - at == 1 else np.arange(start, start + end - at)
            run_start[runs], run_seq[runs], runs = at, seq, runs + 1
            self.tokens[seq].extend([] if residual is not None else map(int, ids[at:end]))
            at = end
        run_start[runs] = n
        if len(wanted) == 1:
            want[0] = wanted[0]
        else:
            want[: len(wanted)] = wanted
        return n, len(wanted), runs, residual


def part_of(every, layers):
    """`layers`, or every one; ValueError if they are not neighbours of it. range(n, n), behind all n, is the head."""
    layers = every if layers is None else layers
    head_only = layers.start == layers.stop == every.stop
    if not (layers or head_only) or layers.step != 1 or layers.start < 0 or layers.stop > every.stop:
        raise ValueError(f"layers must be a range within 0 ... {every.stop - 1}, not {layers}")
    return layers
