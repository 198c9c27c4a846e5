"""The KV cache: pages of 64 positions that all sequences share, one set of pages for each kind of layer; and states.

A full layer keeps every position; a windowed one a ring of pages that holds its window and one step. Numbers stand as
F32, F16, Q8_0 or Q4_0, the types of GGUF; how, is in pyx/isa/cache.pxi. A recurrent layer keeps a state of fixed size
for each sequence, in F32: the kernels take it for zero where a sequence begins, so nobody has to clear it.
"""

import numpy as np

from .engine import plan as engine
from .errors import ContextOverflow
from .gguf.types import TYPES

PAGE = engine.PAGE_SIZE
TILE = engine.KEY_TILE  # values of a head are padded to whole vectors
MARKS = 2  # states of a sequence that are kept: before its latest prompt's last token, and before that
KV_TYPES = ("F32", "F16", "Q8_0", "Q4_0")


class CacheShape:
    """What a cache is made of, and its sizes; no memory is taken."""

    def __init__(self, specs, n_ctx, n_seq=1, kv_type="F16", batch=1, states=None):
        if n_ctx < 1 or n_seq < 1:
            raise ValueError(f"a session needs room for a position and a sequence, not n_ctx={n_ctx}, n_seq={n_seq}")
        self.specs, self.states, self.n_ctx, self.n_seq = specs, states or {}, n_ctx, n_seq
        self.kv_type, self.batch = checked(kv_type), batch

    def positions(self, window):
        """Of one sequence, that layers with this window (0: none) have room for."""
        return self.n_ctx if not window else min(self.n_ctx, window + self.batch)

    def sizes(self, spec):
        """Bytes of the keys and of the values of one layer."""
        rows = pages_for(self.positions(spec.window)) * self.n_seq * spec.heads * PAGE
        return [rows * n for n in head_bytes(self.kv_type, spec)]

    def state_bytes(self, spec):
        return 4 * padded(spec.size) * self.n_seq

    def kept_bytes(self):
        """Of the copies of states that `mark` makes, once there are as many as there may be."""
        return MARKS * sum(map(self.state_bytes, self.states.values()))

    def shared(self):
        """Are there layers whose values are part of their keys?"""
        return any(s.shared for s in self.specs.values())

    def widest_value(self):
        return max((padded(s.v_dim) for s in self.specs.values()), default=0)

    def widest_key(self):
        return max((s.k_dim for s in self.specs.values()), default=0)


class KVCache(CacheShape):
    """Keys, values and states of `n_seq` sequences of up to `n_ctx` positions. Memory is taken as they are filled."""

    def __init__(self, specs, n_ctx, n_seq=1, kv_type="F16", batch=1, states=None):
        super().__init__(specs, n_ctx, n_seq, kv_type, batch, states)
        self.lengths = [0] * n_seq
        self._rings = {w: Ring(self.positions(w), n_seq) for w in {spec.window for spec in specs.values()}}
        self._memory = {layer: self._room(spec) for layer, spec in specs.items()}
        self._states = {key: np.zeros((n_seq, padded(s.size)), np.float32) for key, s in self.states.items()}
        self._absorbed = [0] * n_seq  # tokens of each sequence that its states know
        self._marks = [{} for _ in range(n_seq)]  # {length: the states then}

    def _room(self, spec):
        return [np.zeros(size, np.uint8) for size in self.sizes(spec)]

    def binding(self, layer):
        """The arguments of Plan.add_cache."""
        spec, (k, v) = self.specs[layer], self._memory[layer]
        table = self._rings[spec.window].table
        at = [a.__array_interface__["data"][0] if len(a) else 0 for a in (k, v, table)]
        dims = spec.heads, spec.k_dim, spec.v_dim, padded(spec.v_dim)
        return *at, table.shape[1], *dims, TYPES[self.kv_type].id

    def state(self, key):
        """Address of a state, and floats from one sequence's to the next's."""
        array = self._states[key]
        return array.__array_interface__["data"][0], array.shape[1]

    def extend(self, seq, n):
        """Make room for n more positions of a sequence; its length so far. Raises before anything changes."""
        start = self.need(seq, n)
        for ring in self._rings.values():
            ring.reserve(seq, start + n)
        self.lengths[seq] = start + n
        return start

    def need(self, seq, n):
        """ContextOverflow unless n more positions fit; the length so far."""
        start = self.lengths[seq]
        if start + n > self.n_ctx:
            raise ContextOverflow(
                f"{n} tokens do not fit: the context holds {self.n_ctx} and {start} are taken; "
                "shorten the text or open the model with a larger context",
                needed=start + n,
                available=self.n_ctx,
            )
        return start

    def absorb(self, seqs):
        """A step begins that takes the states of these sequences to their ends: from now on there is no way back."""
        for seq in seqs:
            self._absorbed[seq] = self.lengths[seq]

    def copy_states(self, seq):
        """The states of a sequence, to go back to; None at its begin, where they are zero whatever stands in them."""
        if not self.lengths[seq] or not self._states:
            return None
        return {key: array[seq].copy() for key, array in self._states.items()}

    def paste_states(self, seq, states):
        for key, array in (states or {}).items():
            self._states[key][seq] = array

    def mark(self, seq):
        """Keep a copy of the states as they are, so that the sequence can come back to here."""
        marks, here = self._marks[seq], self.lengths[seq]
        if self._states and here:
            marks.pop(here, None)
            while len(marks) >= MARKS:
                del marks[min(marks)]
            marks[here] = self.copy_states(seq)

    def truncate(self, seq, n=0):
        """Forget all positions of a sequence from n on; how many are left.

        Fewer than n, if states know of later ones: as many as there were at the last mark before. None, if there is no
        mark, or if a ring has already written over positions that the window of position n reaches back to.
        """
        n = min(self.lengths[seq], n)
        self._marks[seq] = marks = {at: states for at, states in self._marks[seq].items() if at <= n}
        if self._states and n < self._absorbed[seq]:
            n = self._absorbed[seq] = max(marks, default=0)
            self.paste_states(seq, marks.get(n))
        lost = {w: self.lengths[seq] - ring.reach for w, ring in self._rings.items() if w}
        if any(max(0, n - w) < gone for w, gone in lost.items()):
            n, self._absorbed[seq], self._marks[seq] = 0, 0, {}
        self.lengths[seq] = n
        for ring in self._rings.values():
            ring.free(seq, n)
        return n


class Ring:
    """Which pages hold the positions of each sequence, for layers that look equally far back."""

    def __init__(self, positions, n_seq):
        per_seq = pages_for(positions)
        self.pages = per_seq * n_seq
        self.table = np.zeros((n_seq, per_seq), np.int32)
        self.reach = (per_seq - 1) * PAGE  # positions that are there for certain, however far a sequence has come
        self._used = [0] * n_seq
        self._free = list(range(self.pages - 1, -1, -1))

    def reserve(self, seq, positions):
        need = min(-(-positions // PAGE), self.table.shape[1])
        while self._used[seq] < need:
            self.table[seq, self._used[seq]] = self._free.pop()
            self._used[seq] += 1

    def free(self, seq, positions):
        keep = -(-positions // PAGE)
        while self._used[seq] > keep:
            self._used[seq] -= 1
            self._free.append(int(self.table[seq, self._used[seq]]))


def pages_for(positions):
    """Pages of one sequence: one more than are full, so that a ring keeps its window while it is written."""
    return -(-positions // PAGE) + 1


def checked(kv_type):
    """The name of a type in upper case; ValueError if caches are not made of it."""
    name = str(kv_type).upper()
    if name not in KV_TYPES:
        raise ValueError(f"kv_type is one of {', '.join(KV_TYPES)}, not {kv_type!r}")
    return name


def row_bytes(kv_type, dim):
    """Bytes of one head at one position: whole blocks of the type."""
    kind = TYPES[kv_type]
    return kind.row_bytes(-(-dim // kind.block) * kind.block)


def head_bytes(kv_type, spec):
    """Bytes that the keys and that the values of one head take at one position."""
    return row_bytes(kv_type, spec.k_dim), 0 if spec.shared else row_bytes(kv_type, padded(spec.v_dim))


def padded(dim):
    return -(-dim // TILE) * TILE
