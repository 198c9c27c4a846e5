"""The session of a trace: its plan shows what is watched, and one step may hold the whole text."""

from .. import memory
from ..errors import OutOfMemory
from ..session import Session
from .names import Names

GIGA = 1e9
ADVICE = "watch fewer values (names=...) or a shorter text"
LEAST = 32  # tokens that a later step may hold, however short the text was


class TraceSession(Session):
    """Room for `n` tokens at once and `more` after them. `wanted`: names to watch, None for all (see Names.select)."""

    def __init__(self, model, n, more=0, wanted=None):
        self.keys, self.wanted, self.at = -(-(n + more) // 64) * 64, wanted, None
        most = model.graph.most or self.keys
        super().__init__(model, n_ctx=min(self.keys, most), batch=max(n, LEAST), turned_for=model.n_ctx)

    def build(self):
        self.names = Names(self.graph)
        watched = self.names.keys if self.wanted is None else [v.name for v in self.names.select(self.wanted)]
        keys = {self.names.keys[name] for name in watched}
        try:
            planned = super().build(watched=keys, keys=self.keys)
        except MemoryError as error:  # of a size that no machine would promise
            raise OutOfMemory(f"{self.batch} tokens cannot be watched at once; {ADVICE}") from error
        makers = {t.dst[1]: i for i, t in enumerate(planned.tasks) if t.dst}
        self.tasks = {name: makers[key] for name, key in self.names.keys.items() if key in keys and key in makers}
        self.tasks["logits"] = len(planned.tasks) - 1
        self.shown = sorted(self.tasks, key=self.tasks.get)
        return planned

    def values(self, name):
        """Values of a name or pattern; KeyError for those that this plan hides."""
        found = self.names.find(name)
        shown = [value for value in found if value.name in self.tasks]
        if not shown:
            raise KeyError(f"{found[0].name} is not watched: this trace was made with names={self.wanted!r}")
        return shown

    def task(self, value):
        """The number of the task that completes a value."""
        return self.tasks[value.name]

    def floats(self, task, n, start=0):
        """How many numbers a task makes of `n` tokens that come after `start` others."""
        t = self.planned.tasks[task]
        return n * (t.n[0] * (start + n) if t.kind in ("scores", "softmax") else t.width)

    def bytes_of_work(self, n):
        """Bytes that a pass over `n` tokens works in, besides the weights: buffers and cache."""
        cached = memory.bytes_per_position(self.graph.caches, self.cache.kv_type)
        return 4 * self.planned.row * n + cached * self.keys + memory.bytes_of_states(self.graph.states)

    def bytes_of(self, values, n):
        """Bytes of values that are kept of `n` tokens, the first of a sequence."""
        return sum(4 * self.floats(task, n) for task in {self.task(v) for v in values})

    def need_memory(self, n_bytes, what):
        """OutOfMemory if there is not as much, before any is taken."""
        free = memory.available()
        if n_bytes > free:
            raise OutOfMemory(
                f"this trace needs {n_bytes / GIGA:.1f} GB {what}, and {free / GIGA:.1f} GB are free; {ADVICE}",
                path=str(self.model.path),
            )
