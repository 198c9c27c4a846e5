"""Tasks of nn/streams.py."""

import numpy as np


class Streams:
    """Methods of Lowering."""

    def do_times_vector(self, r):
        """Every row of the product reads the same row, which is padded to whole vectors like all others."""
        row = np.broadcast_to(r.attrs["weight"].tensor.numpy(), r.out.width)
        self.add(self.task(r, "mul", vectors={"b": np.pad(row, (0, -len(row) % 16))}))

    def do_sparse(self, r):
        self.add(self.task(r, f=(r.attrs["scale"],)))

    def do_combine(self, r):
        task = self.task(r, sources="acb", n=(r.attrs["streams"], r.attrs["others"]), f=(r.attrs["plus"],))
        if r.attrs["fixed"]:
            task.vectors["b"] = r.attrs["fixed"]
        self.add(task)

    def do_repeat(self, r):
        """Heads that all begin at the same place."""
        self.add(self.task(r, "heads_part", n=(r.attrs["times"], 0, 0)))

    def do_match_rms(self, r):
        self.add(self.task(r, n=(r.attrs["heads"],), f=(r.attrs["least"],)))
