"""A file that lies elsewhere and is read in ranges: its header, and of its tensors those that are asked for."""

from llama_gguf.errors import FormatError
from llama_gguf.gguf.cursor import Short
from llama_gguf.gguf.header import read_header
from llama_gguf.gguf.sniff import explain
from llama_gguf.gguf.source import HEADER_BYTES

FIRST = 1 << 20  # bytes: a small vocabulary fits
MOST = 256 << 20  # no header is larger


class Ranges:
    """What a Source is for a local file. `fetch(start, end)` gives the bytes of a range of `size` bytes."""

    def __init__(self, path, size, fetch):
        self.path, self.size, self.fetch = path, size, fetch
        self.map = self._range(0, min(size, FIRST))
        if not self.map.startswith(b"GGUF") or size < HEADER_BYTES:
            raise FormatError(explain(self.map[:4096], size), path=path)

    def _range(self, start, end):
        found = self.fetch(start, end) if end > start else b""
        if len(found) != end - start:
            raise FormatError(f"{end - start:,} bytes were asked for, but {len(found):,} came", path=self.path)
        return found

    def grow(self, needed):
        """Fetch more of the beginning: twice as much, and at least up to `needed`."""
        if needed > MOST:
            raise FormatError(f"the header takes more than {MOST:,} bytes", path=self.path)
        end = min(self.size, max(needed, 2 * len(self.map)))
        self.map += self._range(len(self.map), end)

    def view(self, start, n_bytes):
        return self._range(start, start + n_bytes), 0

    def release(self, start, n_bytes):
        """Nothing is mapped."""

    def check_unchanged(self):
        """A revision does not change."""

    def close(self):
        """Nothing is open."""


def open_ranges(path, size, fetch, strict=True):
    """(Ranges, Header) of a file; FormatError as for local files."""
    source = Ranges(path, size, fetch)
    while True:
        try:
            return source, read_header(source, strict)
        except Short as short:
            source.grow(short.needed)
