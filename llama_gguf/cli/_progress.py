"""The one bar of commands that take a while."""

import sys
from contextlib import contextmanager


@contextmanager
def progress_bar(unit="B", label=None, total=None):
    """A function (done, total, text) that moves a bar on stderr; one that does nothing where that is no terminal.

    unit: of what is counted; bytes ("B") and plain numbers ("") get k, M, G.
    """
    from tqdm import tqdm

    shown = bool(sys.stderr and sys.stderr.isatty())
    with tqdm(desc=label, total=total, unit=unit, unit_scale=unit in ("B", ""), disable=not shown, leave=False) as bar:

        def move(done, total, text=""):
            bar.total = total
            bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)

        yield move if shown else nothing


def nothing(done, total, text=""):
    """For those who are not looking."""
