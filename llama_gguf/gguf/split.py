"""A model cut into shards, and shards joined to one file: the convention of llama.cpp's gguf-split (b11434).

The first shard has all metadata, and each says which of how many it is. Tensors keep their order and their bytes, so
that joining what was cut gives the file back, byte for byte, if it was laid out as writers lay files out today.
"""

import os
from pathlib import Path

from llama_gguf.errors import FormatError
from llama_gguf.gguf.atomic import check_output, replacing_all
from llama_gguf.gguf.copying import Copier
from llama_gguf.gguf.reader import GGUFFile
from llama_gguf.gguf.shards import shard_name
from llama_gguf.gguf.values import Typed
from llama_gguf.gguf.writer import GGUFWriter, encode_metadata

KEYS = ("split.no", "split.tensors.count", "split.count")
"""In the order in which llama.cpp leaves them."""
MOST_SHARDS = 999  # all are open until the last is written


def split(path, stem, *, max_bytes=None, max_tensors=None, small_first=False, force=False, progress=None):
    """Write `path` (a file, or the first shard of a split one) as `stem`-00001-of-0000N.gguf ...; their paths.

    No shard is larger than `max_bytes` nor has more than `max_tensors`. small_first: metadata alone in the first, which
    is quick to fetch. All shards appear at the end, or none. progress(done, total) counts bytes of tensors.
    FormatError names what does not fit.
    """
    if (max_bytes is None) == (max_tensors is None):
        raise ValueError("give max_bytes or max_tensors, one of them")
    with GGUFFile(path) as file:
        groups = _groups(file, max_bytes, max_tensors, small_first)
        count, copier = len(groups), Copier(file.tensors.values(), progress)
        paths = [Path(f"{os.fspath(stem)}{shard_name('', i, count)}") for i in range(count)]
        shards = [
            _writer(out, _keys(file, i, count), tensors, file, force, copier)
            for i, (out, tensors) in enumerate(zip(paths, groups, strict=True))
        ]
        _write_all(shards)
    return paths


def merge(path, out, *, force=False, progress=None):
    """Join the shards beside `path`, the first of them, to the file `out`; the bytes written."""
    with GGUFFile(path) as file:
        if not file.metadata.int("split.count", 0):
            raise FormatError("this file is not split: it says nothing of other shards", path=str(path))
        metadata = {key: value for key, value in file.metadata.typed().items() if key not in KEYS}
        tensors = list(file.tensors.values())
        return _writer(out, metadata, tensors, file, force, Copier(tensors, progress)).write()


def _groups(file, max_bytes, max_tensors, small_first):
    """The tensors of each shard, in their order."""
    if not file.tensors:
        raise FormatError("this file has no tensors to split", path=str(file.path))
    groups = [[], []] if small_first else [[]]
    room = _Room(file, max_bytes, groups)
    for tensor in file.tensors.values():
        full = groups[-1] and (len(groups[-1]) == max_tensors or not room.has(tensor))
        if full:
            groups.append([])
            room.begin(len(groups))
        if not room.has(tensor):
            raise room.error(tensor)
        room.take(tensor)
        groups[-1].append(tensor)
    if len(groups) > MOST_SHARDS:
        raise FormatError(f"these would be {len(groups)} shards; at most {MOST_SHARDS} are written, allow larger ones")
    return groups


class _Room:
    """How much of a shard is taken: header and padded data, as GGUFWriter will lay them out."""

    def __init__(self, file, most, groups):
        self.file, self.most, self.align = file, most, file.alignment
        self.first = 24 + len(encode_metadata(_keys(file, 0, 1)))
        self.later = 24 + len(encode_metadata(_keys(file, 1, 1)))
        self.begin(1)
        if most is not None and groups[1:] and self.header > most:
            raise self.error()
        self.begin(len(groups))

    def begin(self, number):
        self.number, self.header, self.data = number, self.first if number == 1 else self.later, 0

    def has(self, tensor):
        header, data = self._with(tensor)
        return self.most is None or self._padded(header) + data <= self.most

    def take(self, tensor):
        self.header, self.data = self._with(tensor)

    def _with(self, tensor):
        row = 8 + len(tensor.name.encode()) + 4 + 8 * len(tensor.shape) + 12
        return self.header + row, self.data + self._padded(tensor.n_bytes)

    def _padded(self, n_bytes):
        return -(-n_bytes // self.align) * self.align

    def error(self, tensor=None):
        """A shard that holds nothing else is too small."""
        what = f"tensor {tensor.name} takes {tensor.n_bytes:,}, " if tensor else ""
        more = "; --small-first gives the metadata a shard of their own" if tensor and self.number == 1 else ""
        return FormatError(
            f"shards of {self.most:,} bytes are too small: {what}the header before it {self.header:,}{more}",
            path=str(self.file.path),
            tensor=tensor and tensor.name,
        )


def _keys(file, index, count):
    """Metadata of a shard: the first has all of the model's."""
    keys = file.metadata.typed() if index == 0 else {}
    if index and "general.alignment" in file.metadata:
        keys = {"general.alignment": Typed(file.alignment, "u32")}
    numbers = zip(KEYS, (index, len(file.tensors), count), ("u16", "i32", "u16"), strict=True)
    others = {key: value for key, value in keys.items() if key not in KEYS}
    return others | {key: Typed(number, kind) for key, number, kind in numbers}


def _writer(path, metadata, tensors, file, force, copier):
    rows = [(t.name, t.type.name, t.shape, copier.data(t)) for t in tensors]
    return GGUFWriter(path, metadata, rows, force=force, inputs=file.paths)


def _write_all(shards):
    """Every shard, or none: they get their names when the last one is written, the first one last."""
    whole = sum(shard.size for shard in shards)
    for shard in shards:
        check_output(shard.path, whole, shard.force, shard.inputs)
    with replacing_all() as opened:
        for shard in shards:
            shard.write_to(opened(shard.path, shard.size, shard.force, shard.inputs))
