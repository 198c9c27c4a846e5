"""Quantizing whole files: planned and checked first, then streamed tensor by tensor, written whole or not at all.

    quantize_file("model-f16.gguf", "model-q4.gguf", "Q4_K_M", imatrix=Imatrix.load("imatrix.gguf"))
"""

import contextlib
import functools
import os
from dataclasses import dataclass

import numpy as np

from llama_gguf import engine
from llama_gguf.errors import Cancelled, ModelError
from llama_gguf.gguf import GGUFFile, GGUFWriter, Typed
from llama_gguf.gguf.atomic import check_output, replacing_all
from llama_gguf.gguf.shards import parse_name, shard_name
from llama_gguf.gguf.types import TYPES
from llama_gguf.quantize.filetypes import COPY
from llama_gguf.quantize.plan import plan_file
from llama_gguf.quantize.rows import convert_slab, importance, in_order, slabs

COPIED = 16 << 20
"""Bytes that are copied at a time."""
RELEASED = 8 << 20
"""Bytes of the source whose memory is given back at a time."""
SPLIT_KEYS = ("split.no", "split.tensors.count", "split.count")
QUANTIZATION_VERSION = 2
"""Of the layouts of blocks, as llama.cpp counts them."""


@dataclass(frozen=True)
class Quantized:
    """What was written: `paths`, the Plan it followed, bytes of the files before and after."""

    paths: list
    plan: object
    bytes_before: int
    bytes_after: int


def quantize_file(
    source, out, recipe, imatrix=None, *, requantize=False, force=False, overrides=None, keep_split=False,
    n_threads=None, progress=None, cancel=None,
):
    """Quantize the model file `source` (or all its shards) into `out`; a Quantized.

    recipe: a Recipe or the name of a file type. imatrix: an Imatrix. overrides: metadata to set, values or Typed; None
    takes a key away. keep_split: as many shards as the source has, named after `out`. force: replace `out`.
    progress(done, total, name) counts bytes of the new tensors; cancel() true raises Cancelled. Whatever happens, `out`
    is the old file or the whole new one. ModelError says what cannot be done, before anything is written.
    """
    with GGUFFile(os.fspath(source)) as file:
        plan = plan_file(file, recipe, imatrix, requantize=requantize)
        plan.check()
        files = list(parts(plan, os.fspath(out), new_metadata(plan, overrides or {}), keep_split))
        writing = Writing(plan, [t for *_, tensors in files for t in tensors], n_threads, progress, cancel)
        inputs = [*file.paths, *([imatrix.path] if imatrix is not None and imatrix.path else [])]
        writers = [
            GGUFWriter(path, keys, map(writing.row, tensors), force=force, inputs=inputs)
            for path, keys, tensors in files
        ]
        size = sum(w.size for w in writers)
        for w in writers:
            check_output(w.path, size, force, w.inputs)
        with contextlib.closing(writing.slabs), replacing_all() as opened:
            for w in writers:
                w.write_to(opened(w.path, w.size, force, w.inputs))
        return Quantized([w.path for w in writers], plan, file.size, size)


class Writing:
    """Gives GGUFWriter the data of each tensor when its turn comes; threads are a few slabs ahead.

    `tensors`: all Planned in the order in which they are written.
    """

    def __init__(self, plan, tensors, n_threads, progress, cancel):
        self.plan, self.progress, self.cancel = plan, progress, cancel
        self.done, self.spare = 0, []
        jobs = (job for t in tensors if t.changes for job in self.jobs(t))
        self.slabs = in_order(jobs, n_threads or engine.default_threads())

    def row(self, planned):
        return planned.name, planned.target, planned.shape, lambda: self.told(planned)

    def told(self, planned):
        """The buffers of a tensor; progress is told, and whether to go on asked, before each."""
        tensor, released, read = self.plan.file.tensors[planned.name], 0, 0
        for buffer, rows in self.quantized(planned) if planned.changes else self.copied(tensor):
            if self.cancel and self.cancel():
                raise Cancelled("quantizing was cancelled; nothing was written")
            yield buffer
            read += rows
            if (read - released) * tensor.row_bytes >= RELEASED:
                tensor.release(released, read - released)
                released = read
            self.done += buffer.nbytes
            if self.progress:
                self.progress(self.done, self.plan.n_bytes, planned.name)
        tensor.release(released, read - released)

    def copied(self, tensor):
        """(buffer, rows) until the tensor is whole, as below."""
        step = max(1, COPIED // tensor.row_bytes)
        for first in range(0, len(tensor.raw), step):
            part = tensor.raw[first : first + step]
            yield part, len(part)

    def quantized(self, planned):
        left = planned.bytes_after
        while left:
            buffer = next(self.slabs)
            yield buffer, len(buffer)
            left -= buffer.nbytes
            self.spare.append(buffer.base)

    def jobs(self, planned):
        """Functions that store a slab of rows; none reaches over two matrices of a tensor, since each expert has
        importance of its own."""
        tensor, given = self.plan.file.tensors[planned.name], self.plan.importance(planned)
        raw, kind = tensor.raw, TYPES[planned.target]
        each = len(raw) // len(given) if given is not None else len(raw)
        for start in range(0, len(raw), each):
            weights = importance(None if given is None else given[start // each], kind, tensor.shape[-1])
            for rows in slabs(each, tensor.shape[-1], kind):
                rows = slice(start + rows.start, start + rows.stop)
                yield functools.partial(self.store, tensor, raw[rows], kind, weights, rows.start)

    def store(self, tensor, raw, kind, weights, first):
        out = self.buffer((len(raw), kind.row_bytes(len(weights))))
        try:
            convert_slab(raw, tensor.type, kind, weights, out, first)
        except ModelError as error:
            raise ModelError(f"tensor {tensor.name}: {error}", tensor=tensor.name, path=str(tensor.path)) from error
        return out

    def buffer(self, shape):
        """Bytes of a slab that was written, if they are enough: fresh memory comes a page fault at a time."""
        size = shape[0] * shape[1]
        try:
            whole = self.spare.pop()    # other threads take some, too
        except IndexError:
            whole = np.empty(0, np.uint8)
        return (whole if whole.size >= size else np.empty(size, np.uint8))[:size].reshape(shape)


def new_metadata(plan, overrides):
    """The source's keys, and what llama.cpp's quantizer sets, in its order; overrides come last and win."""
    keys = {k: v for k, v in plan.file.metadata.typed().items() if k not in SPLIT_KEYS}
    new = {"general.quantization_version": Typed(QUANTIZATION_VERSION, "u32")}
    if plan.recipe.type != COPY:
        new["general.file_type"] = Typed(plan.recipe.file_type.id, "u32")
    elif "general.file_type" in keys:
        new["general.file_type"] = keys["general.file_type"]
    if plan.imatrix is not None:
        new |= imatrix_keys(plan.imatrix)
    new |= overrides
    kept = {k: v for k, v in keys.items() if k not in new}
    return kept | {k: v for k, v in new.items() if v is not None}


def imatrix_keys(imatrix):
    """Where the importance came from: the name of its file, for the folder is nobody else's business."""
    keys = {"quantize.imatrix.file": Typed(os.path.basename(imatrix.path or ""), "str")}
    if imatrix.datasets:
        keys["quantize.imatrix.dataset"] = Typed(imatrix.datasets[0], "str")
    keys["quantize.imatrix.entries_count"] = Typed(len(imatrix), "u32")
    if imatrix.n_chunks:
        keys["quantize.imatrix.chunks_count"] = Typed(imatrix.n_chunks, "u32")
    return keys


def parts(plan, out, metadata, keep_split):
    """(path, metadata, tensors) of each file to write: one, or as many shards as the source has."""
    paths = [str(p) for p in plan.file.paths]
    if not keep_split or len(paths) == 1:
        yield out, metadata, plan.tensors
        return
    stem = named[0] if (named := parse_name(out)) else out.removesuffix(".gguf")
    stem = os.path.join(os.path.dirname(out), os.path.basename(stem))
    for i, path in enumerate(paths):
        split = zip(SPLIT_KEYS, (i, len(plan.tensors), len(paths)), ("u16", "i32", "u16"), strict=True)
        keys = (metadata if i == 0 else {}) | {key: Typed(value, kind) for key, value, kind in split}
        here = [t for t in plan.tensors if str(plan.file.tensors[t.name].path) == path]
        here.sort(key=lambda t: plan.file.tensors[t.name].offset)
        yield shard_name(stem, i, len(paths)), keys, here
