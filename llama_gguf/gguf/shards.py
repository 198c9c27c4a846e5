"""Models in several files: `NAME-00001-of-00003.gguf` and its siblings, opened by the first."""

import os
import re

from llama_gguf.errors import FormatError
from llama_gguf.gguf.header import read_header
from llama_gguf.gguf.source import Source

_NAME = re.compile(r"(?P<stem>.+)-(?P<no>\d{5})-of-(?P<count>\d{5})\.gguf\Z", re.DOTALL)


def shard_name(stem, index, count):
    """File name of shard `index`, which counts from 0."""
    return f"{stem}-{index + 1:05d}-of-{count:05d}.gguf"


def parse_name(path):
    """(stem, index from 0, count) of a shard's file name, or None."""
    match = _NAME.match(os.path.basename(path))
    return match and (match["stem"], int(match["no"]) - 1, int(match["count"]))


def open_all(path, strict=True, alone=False, opener=None, there=None):
    """(Source, Header) of the file and, if it is the first of several, of the others; `alone`: not of those.

    `opener` gives the pair of a path (None: of a local one), `there` are the names beside it.
    """
    opened, opener = [], opener or _open
    try:
        opened.append(opener(path, strict))
        for sibling in () if alone else _siblings(*opened[0], there):
            opened.append(opener(sibling, strict))
            _check_place(*opened[-1], index=len(opened) - 1, first=opened[0][1])
        _check_tensors(opened)
    except BaseException:
        for source, _ in opened:
            source.close()
        raise
    return opened


def _open(path, strict):
    source = Source(path)
    try:
        return source, read_header(source, strict)
    except BaseException:
        source.close()
        raise


def _siblings(source, header, there=None):
    """Paths of shards 2..N beside the first; they must all be there."""
    count, index = _split_key(source, header, "count", 1), _split_key(source, header, "no", 0)
    if count <= 1:
        return []
    named = parse_name(source.path)
    folder = os.path.dirname(source.path)
    if index:
        first = f": open {shard_name(named[0], 0, count)}" if named else ""
        raise FormatError(f"this is shard {index + 1} of {count}, not the first{first}",
                          path=source.path, key="split.no")
    if named is None or named[1:] != (index, count):
        raise FormatError(f"this is shard 1 of {count}, so its name must end in"
                          f" {shard_name('', 0, count)}", path=source.path, key="split.count")
    names = [shard_name(named[0], i, count) for i in range(1, count)]
    there = set(os.listdir(folder or ".") if there is None else there)
    missing = [name for name in names if name not in there]
    if missing:
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        raise FormatError(f"{len(missing)} of {count} shards are missing:"
                          f" {', '.join(missing[:8])}{more}", path=source.path)
    return [os.path.join(folder, name) for name in names]


def _split_key(source, header, name, default=None):
    """The u16 `split.NAME`; other kinds are refused, as llama.cpp does."""
    key = f"split.{name}"
    metadata = header.metadata
    if key not in metadata and default is not None:
        return default
    kind = metadata.kind(key) if key in metadata else "missing"
    if kind != "u16":
        raise FormatError(f"{key} must be a u16, but it is {kind}", path=source.path, key=key)
    return metadata[key]


def _check_place(source, header, index, first):
    """A later shard says which one it is, and of as many as the first."""
    found = _split_key(source, header, "no")
    if found != index:
        raise FormatError(f"split.no says shard {found + 1}, but the name says {index + 1}",
                          path=source.path, key="split.no")
    count = first.metadata["split.count"]
    if _split_key(source, header, "count", count) != count:
        raise FormatError(f"split.count is {header.metadata['split.count']}, but the first"
                          f" shard's is {count}", path=source.path, key="split.count")


def _check_tensors(opened):
    """No tensor twice, and as many as the first shard announces."""
    if len(opened) == 1:
        return
    source, header = opened[0]
    owner = {}
    for part, part_header in opened:
        for tensor in part_header.tensors:
            if tensor.name in owner:
                raise FormatError(f"tensor {tensor.name!r} is also in {owner[tensor.name]}",
                                  path=part.path, tensor=tensor.name)
            owner[tensor.name] = part.path
    total = header.metadata.int("split.tensors.count")
    if total != len(owner):
        raise FormatError(f"split.tensors.count announces {total} tensors, but the"
                          f" {len(opened)} shards hold {len(owner)}", path=source.path,
                          key="split.tensors.count")
