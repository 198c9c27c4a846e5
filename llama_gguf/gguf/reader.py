"""Opening a GGUF file: the one object through which everything else sees it."""

import os
from pathlib import Path

from llama_gguf.gguf.shards import open_all
from llama_gguf.gguf.tensor import Tensor
from llama_gguf.gguf.tensors import Tensors


class GGUFFile:
    """An open GGUF file, or all shards of a split one when `path` is the first.

    Opening reads header and tensor table only and raises FormatError where anything in them is
    wrong. `strict=False` turns three faults that do no harm (holes between tensors, tensors out
    of file order, padding that is not zero) into warnings. `alone`: this file only, though it be
    one of several shards. A context manager.
    """

    def __init__(self, path, strict=True, alone=False):
        self.path = Path(os.fspath(path))
        self._take(open_all(os.fspath(path), strict, alone))

    @classmethod
    def of(cls, path, opened):
        """A file by the Source (or what stands for one) and Header of each of its shards."""
        file = cls.__new__(cls)
        file.path = Path(path)
        file._take(opened)
        return file

    def _take(self, opened):
        self._sources = [source for source, _ in opened]
        first = opened[0][1]
        self.version, self.alignment, self.metadata = first.version, first.alignment, first.metadata
        self.tensors = Tensors(
            Tensor(info, source, header.data_start) for source, header in opened for info in header.tensors
        )

    @property
    def paths(self):
        """All files, the first shard first."""
        return [Path(source.path) for source in self._sources]

    @property
    def size(self):
        """Bytes of all files together."""
        return sum(source.size for source in self._sources)

    def check_unchanged(self):
        """ModelError if a file was changed in place since it was opened; costs one fstat each."""
        for source in self._sources:
            source.check_unchanged()

    def close(self):
        """Close the files. NumPy views handed out by `Tensor.raw` stay valid."""
        for source in self._sources:
            source.close()

    @property
    def closed(self):
        return any(getattr(source, "fd", 0) < 0 for source in self._sources)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __repr__(self):
        return f"<GGUFFile {self.path} {len(self.tensors)} tensors, {self.size:,} bytes>"

    def _repr_html_(self):
        from llama_gguf.gguf.reprs import file_html

        return file_html(self)
