"""Tensors from one file to another, byte for byte, in little memory."""

PIECE = 16 << 20  # bytes copied at a time


class Copier:
    """What GGUFWriter takes as the data of tensors of open files; tell(done, total) counts bytes of `tensors`."""

    def __init__(self, tensors, tell=None):
        self.done, self.total, self.tell = 0, sum(t.n_bytes for t in tensors), tell

    def data(self, tensor):
        """A callable that gives the bytes piece by piece, and the pages that were read back to the system."""
        return lambda: self._pieces(tensor)

    def _pieces(self, tensor):
        raw = tensor.raw
        rows = max(1, PIECE // tensor.row_bytes)
        for first in range(0, len(raw), rows):
            part = raw[first : first + rows]
            yield part
            tensor.release(first, len(part))
            self.done += part.nbytes
            if self.tell:
                self.tell(self.done, self.total)
