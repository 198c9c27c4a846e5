"""The KV cache: pages of 64 positions that all sequences share, one set of pages for each kind of layer.

A full layer keeps every position; a windowed one a ring of pages that holds its window and one step.
"""

import numpy as np

from .engine import plan as engine
from .errors import ContextOverflow

PAGE = engine.PAGE_SIZE
TILE = engine.KEY_TILE  # values of a head are padded to whole vectors
SIZES = {"F16": 2, "F32": 4}


class KVCache:
    """Keys and values of `n_seq` sequences of up to `n_ctx` positions. Memory is taken as positions are filled."""

    def __init__(self, specs, n_ctx, n_seq=1, kv_type="F16", batch=1):
        if kv_type not in SIZES:
            raise ValueError(f"kv_type is one of {', '.join(SIZES)}, not {kv_type!r}")
        if n_ctx < 1 or n_seq < 1:
            raise ValueError(f"a session needs room for a position and a sequence, not n_ctx={n_ctx}, n_seq={n_seq}")
        self.specs, self.n_ctx, self.n_seq, self.kv_type = specs, n_ctx, n_seq, kv_type
        self.lengths = [0] * n_seq
        self._rings = {w: Ring(n_ctx if not w else min(n_ctx, w + batch), n_seq) for w in self._windows()}
        self._memory = {layer: self._room(spec) for layer, spec in specs.items()}

    def _windows(self):
        return {spec.window for spec in self.specs.values()}

    def _room(self, spec):
        pages, size = self._rings[spec.window].pages, SIZES[self.kv_type]
        return [np.zeros(pages * spec.heads * PAGE * dim * size, np.uint8) for dim in (spec.k_dim, padded(spec.v_dim))]

    def binding(self, layer):
        """The arguments of Plan.add_cache."""
        spec, (k, v) = self.specs[layer], self._memory[layer]
        table = self._rings[spec.window].table
        at = [a.__array_interface__["data"][0] for a in (k, v, table)]
        return *at, table.shape[1], spec.heads, spec.k_dim, spec.v_dim, padded(spec.v_dim), self.kv_type == "F16"

    def widest_value(self):
        return max((padded(s.v_dim) for s in self.specs.values()), default=0)

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
                "shorten the text or open the model with a larger n_ctx",
                needed=start + n,
                available=self.n_ctx,
            )
        return start

    def truncate(self, seq, n=0):
        """Forget all positions of a sequence from n on; how many are left.

        None are, if a ring has already written over positions that the window of position n reaches back to.
        """
        n = min(self.lengths[seq], n)
        lost = {w: self.lengths[seq] - ring.reach for w, ring in self._rings.items() if w}
        if any(max(0, n - w) < gone for w, gone in lost.items()):
            n = 0
        self.lengths[seq] = n
        for ring in self._rings.values():
            ring.free(seq, n)
        return n


class Ring:
    """Which pages hold the positions of each sequence, for layers that look equally far back."""

    def __init__(self, positions, n_seq):
        per_seq = -(-positions // PAGE) + 1
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


def padded(dim):
    return -(-dim // TILE) * TILE
