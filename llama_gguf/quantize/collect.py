"""Collecting an importance matrix: a text runs through the model in chunks, and what each weight multiplies is summed.

All products count, the output matrix's too, which in tied models is the table of tokens (`token_embd.weight`); experts
count what they were given, each its own tokens.
"""

import math
import os
from dataclasses import dataclass

import numpy as np

from llama_gguf.errors import Cancelled, ModelError
from llama_gguf.evaluate.windows import begin_token, text_ids
from llama_gguf.gguf.atomic import check_output
from llama_gguf.quantize.imatrix import CHUNK, Entry, Imatrix
from llama_gguf.session import Session

PRODUCTS = ("matmul", "heads_matmul", "experts", "experts_sum")
LOGITS = 128 << 20
"""Bytes of logits that are in memory at a time."""
SAVE_EVERY = 16  # chunks
ROWS = 64
"""Rows that are summed in float32 before they are added up in float64."""


def collect(model, tokens, *, chunk=CHUNK, perplexity=True, chunks=None, start=None, progress=None, cancel=None,
            dataset=None):
    """An Imatrix of a Model and a text (or token ids), cut into chunks of `chunk` tokens; a rest is left out. Where the
    vocabulary begins texts with a token, it takes the place of a chunk's first; ids are taken as they are.

    perplexity: make logits too and tell progress their perplexity, over the second half of each chunk as llama.cpp
    does. chunks: as many at most. start: an Imatrix to go on from, which stays as it is; its chunks are skipped.
    progress(done, total, perplexity or None, imatrix); cancel() true raises Cancelled. dataset: the text's name, kept
    in the matrix. ModelError where the text has not one chunk.
    """
    model._need_weights()
    ids = text_ids(model, tokens)
    pieces = [ids[i : i + chunk] for i in range(0, len(ids) - chunk + 1, chunk)][:chunks]
    if not pieces:
        raise ModelError(f"the text has {len(ids)} tokens, less than a chunk of {chunk}; give more, or"
                         " smaller chunks (--chunk-size, chunk=)")
    imatrix = start.merge() if start else Imatrix(chunk_size=chunk)
    if imatrix.chunk_size != chunk:
        raise ModelError(f"the matrix to go on from has chunks of {imatrix.chunk_size} tokens, not {chunk}")
    if dataset and dataset not in imatrix.datasets:
        imatrix.datasets.append(dataset)
    run = Collector(model, chunk, perplexity, begin_token(model) if isinstance(tokens, str) else None)
    for i in range(imatrix.n_chunks, len(pieces)):
        if cancel and cancel():
            raise Cancelled("collecting was cancelled")
        piece = Imatrix(chunk_size=chunk)
        run.chunk(pieces[i], piece)
        for name, entry in piece.items():  # whole chunks only, however the work ends
            imatrix.add(name, entry)
        imatrix.n_chunks = i + 1
        if progress:
            progress(i + 1, len(pieces), run.perplexity, imatrix)
    return imatrix


def collect_file(model, tokens, path, *, resume=False, force=False, add=None, progress=None, dataset=None, **how):
    """`collect` into the file `path`, saved every SAVE_EVERY chunks; the Imatrix as it was written.

    resume: go on where an unfinished `path` stopped, if there is one; ModelError where it is of another text
    (`dataset`) or another model. add: an Imatrix whose sums are added.
    """
    check_file(path, force, resume, [model.path])
    mine = Imatrix.load(path) if resume and os.path.exists(path) else None
    if mine is not None:
        _check_resumed(mine, model, dataset)

    def save(matrix):
        (add.merge(matrix) if add else matrix).save(path, force=True)

    def told(done, total, perplexity, matrix):
        if progress:
            progress(done, total, perplexity, matrix)
        if done % SAVE_EVERY == 0 and done < total:
            save(matrix)

    save(collect(model, tokens, start=mine, progress=told, dataset=dataset, **how))
    return Imatrix.load(path)


def check_file(path, force=False, resume=False, inputs=()):
    """Raise what `collect_file` would before it begins."""
    check_output(path, None, True, inputs)
    if os.path.exists(path) and not (force or resume):
        told = "it exists already; --force (force=True) replaces it, --resume (resume=True) goes on"
        raise FileExistsError(17, told, os.fspath(path))


def _check_resumed(matrix, model, dataset):
    known = [os.path.basename(name) for name in matrix.datasets]
    if dataset and known and os.path.basename(dataset) not in known:
        raise ModelError(f"it was collected of {', '.join(known)}, not of {dataset}; it cannot go on",
                         path=str(matrix.path))
    for name in matrix:
        if name not in model.tensors:
            raise ModelError(f"it was made with another model: this one has no tensor {name}", path=str(matrix.path))
        matrix.weights(name, model.tensors[name].shape)


@dataclass
class Job:
    """A product to watch: the name of its tensor, the values that it reads, and after which task all are made."""

    record: object
    name: str
    ready: int
    inputs: tuple  # ids of values: what is multiplied, and for experts who is chosen and with which weights


class Collector(Session):
    """A session of one chunk that stops where the inputs of products are ready."""

    def __init__(self, model, chunk, perplexity, bos=None):
        self.scores = perplexity and not getattr(model.family, "ENCODER", False)
        batch = chunk if not self.scores else max(16, min(chunk // 2, LOGITS // (4 * model.n_vocab)))
        most = model.graph.most or chunk
        super().__init__(model, n_ctx=min(chunk, most), batch=batch, turned_for=model.n_ctx)
        self.bos = bos
        self.jobs, self.needed = self.products()
        self.sum, self.n = 0.0, 0

    def build(self):
        """A plan that fuses nothing that would hide the input of a product."""
        inputs = {x.id for r in self.graph.records if r.kind in PRODUCTS for x in r.inputs}
        return super().build(watched=inputs)

    def products(self):
        """Jobs by the task after which they are ready, and the last job that needs each value."""
        maker = {t.dst[1]: i for i, t in enumerate(self.planned.tasks) if t.dst and t.dst[0] == "x"}
        jobs, seen = [], set()
        for r in self.graph.records:
            if r.kind in PRODUCTS:
                name, inputs = whole_name(r.attrs["weight"].tensor.name), tuple(x.id for x in r.inputs)
                if (name, inputs) not in seen:  # parts of a fused matrix, or gate and up in one tensor, read the same
                    seen.add((name, inputs))
                    jobs.append(Job(r, name, max(maker[x] for x in inputs), inputs))
        self.made = {maker[x]: x for job in jobs for x in job.inputs}
        by_task, last = {}, {}
        for job in jobs:
            by_task.setdefault(job.ready, []).append(job)
            last |= {x: max(job.ready, last.get(x, 0)) for x in job.inputs}
        return by_task, last

    def chunk(self, ids, imatrix):
        """Run one chunk from an empty cache; its first token gives way to the begin token, if there is one."""
        self.reset()
        ids = list(ids)
        if self.bos is not None:
            ids[0] = self.bos
        for at in range(0, len(ids), self.batch):
            part = ids[at : at + self.batch]
            scored = self.scores and at + len(part) > len(ids) // 2
            logits = self.run(part, imatrix, scored)
            if scored:
                self.score(logits, ids, at)

    def run(self, ids, imatrix, scored):
        """One step: stop after each task that makes what a job reads, and add it up. The logits, if they are wanted."""
        n, end = len(ids), len(self.planned.tasks) if scored else max(self.made) + 1
        out = np.empty((n if scored else 0, self.width), np.float32)
        args = self.prepare(self.planned, ids, [0] * n, range(n))
        self.cache.absorb({0})
        done, values = 0, {}
        for task in sorted(self.made):
            self.planned.plan.run(*args[:3], out, args[3], done, task + 1)
            done, value = task + 1, self.made[task]
            view = self.planned.view(task, n)
            values[value] = view if self.needed[value] == task else view.copy()  # its memory is used again
            for job in self.jobs.get(task, ()):
                self.add(job, [values[x] for x in job.inputs], imatrix)
            values = {x: v for x, v in values.items() if self.needed[x] > task}
        self.planned.plan.run(*args[:3], out, args[3], done, end)
        return out

    def add(self, job, values, imatrix):
        if job.record.kind.startswith("experts"):
            entry = of_experts(job.record, *values)
        else:
            squares, sums = summed(values[0])
            matrices = job.record.attrs["weight"].tensor.shape[0] if job.record.kind == "heads_matmul" else 1
            entry = Entry(squares.reshape(matrices, -1), len(values[0]), sums.reshape(matrices, -1))
        if not np.isfinite(entry.squares).all():
            raise ModelError(f"what tensor {job.name} multiplies is not finite", path=str(self.model.path),
                             tensor=job.name)
        imatrix.add(job.name, entry)

    def score(self, logits, ids, at):
        """Add the surprise of the tokens in the second half of a chunk."""
        first = max(len(ids) // 2 - at, 0)
        targets = np.asarray(ids[at + first + 1 : at + len(logits) + 1])
        for i in range(0, len(targets), ROWS):
            wanted = targets[i : i + ROWS]
            rows = logits[first + i : first + i + len(wanted)]
            top = rows.max(1, keepdims=True)
            norm = np.log(np.exp(rows - top).sum(1, dtype=np.float64)) + top[:, 0]
            self.sum += float((norm - rows[np.arange(len(rows)), wanted]).sum())
            self.n += len(rows)

    @property
    def perplexity(self):
        return math.exp(self.sum / self.n) if self.n else None


def whole_name(name):
    """Of a part of a tensor ("blk.0.attn_qkv.weight[0:64]", "blk.0.ffn_gate_up_exps:ffn_up_exps") the tensor's name."""
    return name.partition("[")[0].partition(":")[0]


def summed(x):
    """Sums over rows of x^2 and of x, float64 (cols,)."""
    squares, sums = np.zeros((2, x.shape[1]))
    for i in range(0, len(x), ROWS):
        part = x[i : i + ROWS]
        squares += np.einsum("ij,ij->j", part, part)
        sums += part.sum(0)
    return squares, sums


def of_experts(record, x, ids, before=None):
    """An Entry with a row for each expert. x: (tokens, cols), or (tokens, slots * cols) behind the first product;
    weights that models multiply with before the product belong to what it is given.
    """
    count, cols = record.attrs["count"], record.attrs["weight"].tensor.shape[-1]
    ids = ids.astype(int)
    x = x.reshape(len(x), -1, cols)
    squares, sums, counts = np.zeros((count, cols)), np.zeros((count, cols)), np.zeros(count, np.int64)
    for expert in np.unique(ids):
        token, slot = np.nonzero(ids == expert)
        given = x[token, slot if x.shape[1] > 1 else 0]
        if before is not None and record.kind == "experts":
            given = given * before[token, slot][:, None]
        squares[expert], sums[expert] = summed(given)
        counts[expert] = len(token)
    return Entry(squares, counts, sums)
