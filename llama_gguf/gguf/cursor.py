"""A position in the bytes of a header, which cannot leave them."""

import struct

from llama_gguf.errors import FormatError

BROKEN = "the file is truncated or corrupted, download it again"
_U64 = struct.Struct("<Q")


class Short(Exception):
    """What was fetched of a file ends before its header does; `needed` bytes would do for the next step."""

    def __init__(self, needed):
        self.needed = needed


class Cursor:
    """A position in a buffer that cannot leave it.

    `size` is that of the file where the buffer holds only its beginning: Short is raised at its
    end. `what` and its arguments are put together only when there is something to complain about.
    """

    __slots__ = ("buf", "have", "path", "pos", "size")

    def __init__(self, buf, path, pos=0, size=None):
        self.buf, self.path, self.pos, self.have = buf, path, pos, len(buf)
        self.size = self.have if size is None else size

    def error(self, message, **where):
        return FormatError(message, path=self.path, **where)

    @property
    def left(self):
        return self.size - self.pos

    def take(self, n_bytes, what, *args):
        """Step over `n_bytes` and return where they start."""
        start = self.pos
        if n_bytes > self.size - start:
            raise self.error(f"{what.format(*args)} at byte {start} needs {n_bytes} bytes, but"
                             f" only {self.left} are left: {BROKEN}")
        self.need(start + n_bytes)
        self.pos = start + n_bytes
        return start

    def need(self, end):
        """Short unless the buffer reaches as far as `end`."""
        if end > self.have and end <= self.size:
            raise Short(end)

    def unpack(self, layout, what, *args):
        return layout.unpack_from(self.buf, self.take(layout.size, what, *args))

    def name(self, limit, what, *args):
        """A key or a tensor name: 1 to `limit` bytes of UTF-8 without NUL."""
        (n,) = self.unpack(_U64, what, *args)
        if not 1 <= n <= limit:
            raise self.error(f"{what.format(*args)} at byte {self.pos} is {n} bytes long; 1 to"
                             f" {limit} are allowed")
        start = self.take(n, what, *args)
        raw = self.buf[start : start + n]
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise self.error(f"{what.format(*args)} at byte {start} is not UTF-8 without NUL:"
                             f" {raw[:40]!r}")
        return text
