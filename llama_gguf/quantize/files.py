"""Quantizing whole files: planned and checked first, then streamed tensor by tensor, written whole or not at all.

    quantize_file("model-f16.gguf", "model-q4.gguf", "Q4_K_M", imatrix=Imatrix.load("imatrix.gguf"))
"""

import os
from dataclasses import dataclass

from llama_gguf.errors import Cancelled, ModelError
from llama_gguf.gguf import GGUFFile, GGUFWriter, Typed
from llama_gguf.gguf.atomic import check_output, replacing_all
from llama_gguf.gguf.shards import parse_name, shard_name
from llama_gguf.quantize.filetypes import COPY
from llama_gguf.quantize.plan import as_float, plan_file
from llama_gguf.quantize.rows import quantize_rows

SLAB = 4 << 20
"""Values that are in memory as floats at a time (16 MB)."""
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
    src, dst, recipe, imatrix=None, *, requantize=False, force=False, overrides=None, keep_split=False,
    n_threads=None, progress=None, cancel=None,
):
    """Quantize the model file `src` (or all its shards) into `dst`; a Quantized.

    recipe: a Recipe or the name of a file type. imatrix: an Imatrix. overrides: metadata to set, values or Typed; None
    takes a key away. keep_split: as many shards as the source has, named after `dst`. force: replace `dst`.
    progress(done, total, name) counts bytes of the new tensors; cancel() true raises Cancelled. Whatever happens, `dst`
    is the old file or the whole new one. ModelError says what cannot be done, before anything is written.
    """
    with GGUFFile(os.fspath(src)) as file:
        plan = plan_file(file, recipe, imatrix, requantize=requantize)
        plan.check()
        writing = Writing(plan, n_threads, progress, cancel)
        metadata = new_metadata(plan, overrides or {})
        inputs = [*file.paths, *([imatrix.path] if imatrix is not None and imatrix.path else [])]
        writers = [
            GGUFWriter(path, keys, map(writing.row, tensors), force=force, inputs=inputs)
            for path, keys, tensors in parts(plan, os.fspath(dst), metadata, keep_split)
        ]
        size = sum(w.size for w in writers)
        for w in writers:
            check_output(w.path, size, force, w.inputs)
        with replacing_all() as opened:
            for w in writers:
                w.write_to(opened(w.path, w.size, force, w.inputs))
        return Quantized([w.path for w in writers], plan, file.size, size)


class Writing:
    """Gives GGUFWriter the data of each tensor when its turn comes."""

    def __init__(self, plan, n_threads, progress, cancel):
        self.plan, self.n_threads, self.progress, self.cancel = plan, n_threads, progress, cancel
        self.done = 0

    def row(self, planned):
        return planned.name, planned.target, planned.shape, lambda: self.told(planned)

    def told(self, planned):
        """The buffers of a tensor; progress is told, and whether to go on asked, before each."""
        for buffer in self.copied(planned) if not planned.changes else self.quantized(planned):
            if self.cancel and self.cancel():
                raise Cancelled("quantizing was cancelled; nothing was written")
            yield buffer
            self.done += buffer.nbytes
            if self.progress:
                self.progress(self.done, self.plan.n_bytes, planned.name)

    def copied(self, planned):
        tensor = self.plan.file.tensors[planned.name]
        step = max(1, 4 * SLAB // tensor.row_bytes)
        for first in range(0, len(tensor.raw), step):
            part = tensor.raw[first : first + step]
            yield part
            tensor.release(first, len(part))

    def quantized(self, planned):
        """Slabs of rows; none reaches over two matrices of a tensor, since each expert has importance of its own."""
        tensor, importance = self.plan.file.tensors[planned.name], self.plan.importance(planned)
        raw, cols = tensor.raw, tensor.shape[-1]
        each = len(raw) // len(importance) if importance is not None else len(raw)
        step = max(1, SLAB // cols)
        for start in range(0, len(raw), each):
            weights = None if importance is None else importance[start // each]
            for first in range(start, start + each, step):
                part = raw[first : min(first + step, start + each)]
                try:
                    yield quantize_rows(as_float(part, tensor.type, cols), planned.target, weights, self.n_threads)
                except ModelError as error:
                    raise ModelError(f"tensor {planned.name}, rows from {first}: {error}", tensor=planned.name,
                                     path=str(self.plan.file.path)) from error
                tensor.release(first, len(part))


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


def parts(plan, dst, metadata, keep_split):
    """(path, metadata, tensors) of each file to write: one, or as many shards as the source has."""
    paths = [str(p) for p in plan.file.paths]
    if not keep_split or len(paths) == 1:
        yield dst, metadata, plan.tensors
        return
    stem = named[0] if (named := parse_name(dst)) else dst.removesuffix(".gguf")
    stem = os.path.join(os.path.dirname(dst), os.path.basename(stem))
    for i, path in enumerate(paths):
        split = zip(SPLIT_KEYS, (i, len(plan.tensors), len(paths)), ("u16", "i32", "u16"), strict=True)
        keys = (metadata if i == 0 else {}) | {key: Typed(value, kind) for key, value, kind in split}
        here = [t for t in plan.tensors if str(plan.file.tensors[t.name].path) == path]
        here.sort(key=lambda t: plan.file.tensors[t.name].offset)
        yield shard_name(stem, i, len(paths)), keys, here
