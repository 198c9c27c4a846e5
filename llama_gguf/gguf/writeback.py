"""A file whose bytes go to the disk while more are made, so that its fsync has little left to wait for."""

import contextlib
import ctypes
import io
import sys

EVERY = 16 << 20
"""Bytes between two calls. Each costs a millisecond."""
SYNC_FILE_RANGE_WRITE = 2


class EagerFile(io.FileIO):
    """A raw file: after every EVERY bytes the system is asked to write back what it holds of it, and not waited for.

    Linux; elsewhere an ordinary file.
    """

    pending = 0

    def write(self, data):
        n = super().write(data)
        self.pending += n or 0
        if self.pending >= EVERY:
            self.pending = 0
            start_writeback(self.fileno())
        return n


def start_writeback(fd):
    """Begin to write what of the file has changed in memory. A disk that cannot says so at fsync, if it matters."""
    if sync_file_range:
        sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE)  # 0 bytes from 0: the whole file


def _sync_file_range():
    """The C library's function, or None. fdatasync would do the same anywhere, but waits."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            call = ctypes.CDLL(None).sync_file_range
            call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
            return call
    return None


sync_file_range = _sync_file_range()
