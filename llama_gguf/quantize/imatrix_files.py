"""Importance matrices on disk: llama.cpp's GGUF format, and the binary one before it (`tools/imatrix` of b11434).

GGUF: for each weight NAME.in_sum2 and NAME.in_sum, F32 (counts, columns), NAME.counts, F32 (counts, 1), and NAME.stats,
F32 (12,), which is written and never read: it can be computed of the others. A single count is no dimension.
Binary, all little endian: i32 entries; for each i32 length and name, i32 calls, i32 values and float32 values (means
of squares * calls); then i32 calls of the whole, i32 length and name of the text, both of which may be missing.
"""

import struct

import numpy as np

from llama_gguf.errors import FormatError
from llama_gguf.gguf import GGUFFile, Typed, write_gguf
from llama_gguf.gguf.atomic import replacing
from llama_gguf.quantize.imatrix import CHUNK, Entry, Imatrix
from llama_gguf.quantize.imatrix_stats import SCHEMA, as_array, schema_statistics

MOST_ENTRIES, MOST_NAME = 1 << 20, 1 << 12
PARTS = ("in_sum2", "counts", "in_sum")


def load(path):
    with open(path, "rb") as file:
        if file.read(4) == b"GGUF":
            return from_gguf(path)
        file.seek(0)
        return Binary(path, file.read()).imatrix()


def save(imatrix, path, force, legacy):
    if not len(imatrix):
        raise ValueError("an importance matrix without entries says nothing; collect some first")
    if not legacy:
        write_gguf(path, keys_of(imatrix), tensors_of(imatrix), force=force)
        return
    raw = b"".join(as_binary(imatrix))
    with replacing(path, len(raw), force) as out:
        out.write(raw)


def from_gguf(path):
    with GGUFFile(path) as file:
        meta, parts = file.metadata, {}
        for name, tensor in file.tensors.items():
            weight, _, part = name.rpartition(".")
            if part in PARTS:
                if tensor.type.name != "F32":
                    raise FormatError(f"{name} is {tensor.type}, but sums are F32", path=path, tensor=name)
                parts.setdefault(weight, {})[part] = tensor.numpy()
        if not parts:
            what = "a model" if "general.architecture" in meta else "a GGUF file of another kind"
            raise FormatError(f"this is {what}, not an importance matrix: it holds no sums of squares", path=path)
        entries = {weight: entry(path, weight, **found) for weight, found in sorted(parts.items())}
        datasets = list(meta.array("imatrix.datasets", "str", ()))
        chunks, size = meta.int("imatrix.chunk_count", 0, lo=0), meta.int("imatrix.chunk_size", CHUNK, lo=0)
        nextn = meta.int("imatrix.n_layer_nextn", 0, lo=0)
    return Imatrix(entries, datasets, chunks, size or CHUNK, path, nextn)


def entry(path, weight, in_sum2=None, counts=None, in_sum=None):
    """An Entry of the tensors found, or FormatError."""
    if in_sum2 is None or counts is None:
        missing = "in_sum2" if in_sum2 is None else "counts"
        raise FormatError(f"{weight}.{missing} is missing", path=path, tensor=weight)
    counts = np.rint(counts.reshape(-1)).astype(np.int64)
    if in_sum2.size % counts.size or (in_sum is not None and in_sum.size != in_sum2.size):
        raise FormatError(f"{weight}: {in_sum2.size} sums of squares do not go with {counts.size} counts"
                          f" and {'no' if in_sum is None else in_sum.size} sums", path=path, tensor=weight)
    if not np.isfinite(in_sum2).all() or (in_sum2 < 0).any() or (counts < 0).any():
        raise FormatError(f"{weight}.in_sum2 holds numbers that no sum of squares can be", path=path, tensor=weight)
    return Entry(in_sum2.reshape(counts.size, -1), counts, in_sum)


def keys_of(imatrix):
    keys = {
        "general.type": "imatrix",
        "imatrix.datasets": Typed(list(imatrix.datasets), "str"),
        "imatrix.chunk_count": Typed(imatrix.n_chunks, "u32"),
        "imatrix.chunk_size": Typed(imatrix.chunk_size, "u32"),
    }
    if imatrix.n_layer_nextn:
        keys["imatrix.n_layer_nextn"] = Typed(imatrix.n_layer_nextn, "u32")
    return keys | {"imatrix.stats_schema": list(SCHEMA)}


def tensors_of(imatrix):
    stats = schema_statistics(imatrix)
    for name, e in sorted(imatrix.items()):
        counts = (len(e.counts),) if len(e.counts) > 1 else ()
        shape = *counts, e.squares.size // len(e.counts)
        yield f"{name}.in_sum2", "F32", shape, np.ascontiguousarray(e.squares, np.float32)
        yield f"{name}.counts", "F32", (*counts, 1), e.counts.astype(np.float32)
        if e.sums is not None:
            yield f"{name}.in_sum", "F32", shape, np.ascontiguousarray(e.sums, np.float32)
        yield f"{name}.stats", "F32", (len(SCHEMA),), as_array(stats[name]).astype(np.float32)


def as_binary(imatrix):
    """The old format; experts without data get 1 everywhere, as its readers expect."""
    kept = [(name, e) for name, e in sorted(imatrix.items()) if e.counts.any()]
    yield struct.pack("<i", len(kept))
    for name, e in kept:
        calls = -(-int(e.counts.max()) // imatrix.chunk_size)
        means = np.nan_to_num(e.means, nan=1.0).astype(np.float32)
        raw = name.encode()
        yield struct.pack("<i", len(raw)) + raw + struct.pack("<ii", calls, means.size)
        yield (means * np.float32(calls)).tobytes()
    text = (imatrix.datasets[-1] if imatrix.datasets else "").encode()
    yield struct.pack("<ii", imatrix.n_chunks, len(text)) + text


class Binary:
    """The old format, read from front to back; FormatError where it ends too soon."""

    def __init__(self, path, raw):
        self.path, self.raw, self.at = path, raw, 0

    def take(self, n, what):
        if n < 0 or self.at + n > len(self.raw):
            message = f"the file ends within {what}; it is no importance matrix, or was cut off"
            raise FormatError(message, path=self.path)
        self.at += n
        return self.raw[self.at - n : self.at]

    def int(self, what, most=1 << 31):
        (value,) = struct.unpack("<i", self.take(4, what))
        if not 0 <= value <= most:
            raise FormatError(f"{what} is {value}; this is no importance matrix", path=self.path)
        return value

    def imatrix(self):
        count = self.int("the number of entries", MOST_ENTRIES)
        entries = dict(self.entry(i) for i in range(count))
        if not entries:
            raise FormatError("the importance matrix has no entries", path=self.path)
        chunks, datasets = 0, []
        if self.at < len(self.raw):
            chunks = self.int("the number of chunks")
        if self.at < len(self.raw):
            text = self.take(self.int("the text's name", MOST_NAME), "the text's name")
            datasets = [text.decode("utf-8", "replace")] if text else []
        return Imatrix(entries, datasets, chunks, CHUNK, self.path)

    def entry(self, i):
        """A chunk counts as CHUNK tokens, so that sums go with those of the other format."""
        what = f"entry {i + 1}"
        name = self.take(self.int(f"the name of {what}", MOST_NAME), what).decode("utf-8", "replace")
        calls, n = self.int(f"the calls of {what}"), self.int(f"the size of {what}")
        values = np.frombuffer(self.take(4 * n, what), "<f4").astype(np.float64)
        if not np.isfinite(values).all() or (values < 0).any() or not n:
            raise FormatError(f"{what} ({name}) holds numbers that no sum of squares can be", path=self.path)
        return name, Entry(values * CHUNK, max(calls, 1) * CHUNK)
