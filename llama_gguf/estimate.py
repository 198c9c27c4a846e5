"""An estimate of what a model takes, as sizing makes it: numbers, a table, a refusal."""

from dataclasses import asdict, dataclass, field

from .errors import OutOfMemory

PARTS = ("weights", "mapped", "cache", "states", "kept", "activations", "vocabulary")


@dataclass(frozen=True)
class Estimate:
    """Bytes by what takes them; `print(estimate)` is a table.

    `weights`: panels and float vectors, of its own. `mapped`: pages of the file that are read where they are; the
    system can take them back when memory is short, and reads them again. `cache` and `states`: of `n_seq` full
    sequences. `kept`: copies of states that a conversation comes back to. `activations`: buffers of a step of `batch`
    tokens. `vocabulary`: of the tokenizer. `layers`: one row for each that keeps something of every position or
    sequence. `read`: bytes that one token's pass reads of weights.
    """

    name: str
    arch: str
    n_ctx: int
    n_seq: int
    kv_type: str
    batch: int
    packed: bool
    weights: int
    mapped: int
    cache: int
    states: int
    kept: int
    activations: int
    vocabulary: int
    read: int
    available: int
    largest_context: int
    model_context: int
    layers: list = field(repr=False)

    @property
    def own(self):
        """Bytes that cannot be given back while the model is in use."""
        return self.weights + self.cache + self.states + self.kept + self.activations + self.vocabulary

    @property
    def total(self):
        return self.own + self.mapped

    @property
    def fits(self):
        return self.total <= self.available

    def tokens_per_second(self, bytes_per_second, position=0):
        """Of decoding one sequence at a position, if memory is read at this rate and nothing else takes time."""
        at = (position + 1) / self.n_ctx
        past = sum(row["bytes"] * min(1.0, at * row["share"]) for row in self.layers) / self.n_seq
        return bytes_per_second / (self.read + past)

    def as_dict(self):
        """All of it, ready for JSON."""
        return asdict(self) | {"own": self.own, "total": self.total, "fits": self.fits}

    def check(self):
        """OutOfMemory with the numbers, if it cannot fit."""
        if self.fits:
            return
        smaller = f"a context of {self.largest_context:,} would fit" if self.largest_context else "no context fits"
        raise OutOfMemory(
            f"{_size(self.total)} are needed, but {_size(self.available)} of memory are free: weights take "
            f"{_size(self.weights + self.mapped)}, the cache of {self.n_ctx:,} positions "
            f"{_size(self.cache + self.states + self.kept)}, the rest {_size(self.activations + self.vocabulary)}; "
            f"{smaller}"
            f"{'' if self.kv_type == 'Q8_0' else ', Q8_0 keys and values take half'}; --force (force=True) loads it",
            path=self.name,
        )

    def __str__(self):
        rows = [
            ("weights", self.weights, "packed into panels" if self.packed else "vectors"),
            ("mapped", self.mapped, "pages of the file"),
            ("cache", self.cache, f"{self.n_ctx:,} positions as {self.kv_type}"),
            ("states", self.states, "of recurrent layers"),
            ("kept", self.kept, "states to come back to"),
            ("activations", self.activations, f"of steps of {self.batch} tokens"),
            ("vocabulary", self.vocabulary, ""),
            ("total", self.total, f"of {_size(self.available)} free: {'fits' if self.fits else 'does not fit'}"),
        ]
        shown = [row for row in rows if row[1] or row[0] not in ("states", "kept")]
        lines = [f"{name:12}{_size(n):>10}  {about}".rstrip() for name, n, about in shown]
        return "\n".join([f"{self.name}: {self.arch}", *lines, self._contexts()])

    def _repr_html_(self):
        from .pictures import bars, markup, table, together

        parts = {key: getattr(self, key) for key in PARTS if getattr(self, key)}
        verdict = "fits" if self.fits else "does not fit"
        rows = [
            ("model", self.name), ("context", f"{self.n_ctx:,}"), ("largest that fits", f"{self.largest_context:,}"),
        ]
        return together(
            markup(f"<b>{_size(self.total)}</b> of {_size(self.available)} free: {verdict}"),
            bars([n / 1e6 for n in parts.values()], list(parts), title="MB"),
            table(rows, ("", "")),
        )

    def _contexts(self):
        return f"largest context that fits: {self.largest_context:,} (the model's own: {self.model_context:,})"


def _size(n_bytes):
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
