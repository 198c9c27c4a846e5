"""Tasks of nn/encoders.py."""

import numpy as np


class Encoders:
    """Methods of Lowering."""

    def do_add_row(self, r):
        """Every row of the sum reads the same row, which is padded to whole vectors like all others."""
        row = r.attrs["weight"].tensor.numpy(r.attrs["row"])
        self.add(self.task(r, "add", vectors={"b": np.pad(row, (0, -len(row) % 16))}))
