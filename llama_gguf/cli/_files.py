"""What commands that write files share: sizes as people write them, --force, progress."""

import re
import sys
from contextlib import contextmanager

import click

UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}

force = click.option("--force", is_flag=True, help="Replace a file that is there.")


class Size(click.ParamType):
    """2G, 500MB, 1.5GiB, or a number of bytes. Decimal unless it says i."""

    name = "size"

    def convert(self, value, param, ctx):
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", value.strip(), re.IGNORECASE)
        n_bytes = int(float(found[1]) * UNITS.get(found[2].lower(), 0)) if found else 0
        if not n_bytes:
            self.fail(f"{value!r} is no size; write it as 500M, 2G or 1.5GiB", param, ctx)
        return n_bytes


@contextmanager
def bytes_bar(label):
    """A function (done, total) that draws a bar on a terminal's stderr, or None where there is no terminal."""
    if not (sys.stderr and sys.stderr.isatty()):
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc=label, unit="B", unit_scale=True, leave=False) as bar:

        def tell(done, total):
            bar.total = total
            bar.update(done - bar.n)

        yield tell
