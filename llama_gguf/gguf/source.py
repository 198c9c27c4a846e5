"""One file, opened once: its descriptor, its size, its read-only mapping."""

import contextlib
import mmap
import os
import stat

from llama_gguf.errors import FormatError, ModelError, OutOfMemory
from llama_gguf.gguf.sniff import explain

HEADER_BYTES = 24
AROUND = 2 << 20  # bytes: with a page that is touched, systems map neighbours, up to a large page of them


class Source:
    """A mapped file. Nothing is mapped before size and first bytes look like GGUF.

    The mapping outlives `close` for as long as a NumPy view of it is alive.
    """

    def __init__(self, path):
        self.path, self._map = os.fspath(path), None
        # O_NONBLOCK: opening a FIFO must be refused below, not wait for a writer
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        self.fd = os.open(self.path, flags | getattr(os, "O_CLOEXEC", 0))
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self):
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
            raise FormatError(f"this is {kind}, not a file", path=self.path)
        self.size, self._mtime = status.st_size, status.st_mtime_ns
        head = os.read(self.fd, 4096)
        if not head.startswith(b"GGUF") or self.size < HEADER_BYTES:
            raise FormatError(explain(head, self.size), path=self.path)
        try:
            self._map = mmap.mmap(self.fd, self.size, access=mmap.ACCESS_READ)
        except OSError as error:
            raise OutOfMemory(f"cannot map {self.size:,} bytes: {error.strerror}",
                              path=self.path) from error

    @property
    def map(self):
        if self._map is None:
            raise ValueError(f"{self.path}: the file is closed")
        return self._map

    def view(self, start, n_bytes):
        """(buffer, where in it) that holds a range of the file."""
        return self.map, start

    def check_unchanged(self):
        """ModelError if the open file has changed since; one replaced by rename has not."""
        status = os.fstat(self.fd)
        if (status.st_size, status.st_mtime_ns) != (self.size, self._mtime):
            raise ModelError(f"the file changed while it was open ({self.size:,} bytes then,"
                             f" {status.st_size:,} now); load the model again", path=self.path)

    def release(self, start, n_bytes):
        """Give the pages of a range back to the system, and those around it; they are read again when touched."""
        if hasattr(mmap, "MADV_DONTNEED"):
            first = start // AROUND * AROUND
            last = min(self.size, -(-(start + n_bytes) // AROUND) * AROUND)
            self.map.madvise(mmap.MADV_DONTNEED, first, last - first)

    def close(self):
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
        mapping, self._map = self._map, None
        if mapping is not None:
            with contextlib.suppress(BufferError):  # while a NumPy view lives, so does the map
                mapping.close()
