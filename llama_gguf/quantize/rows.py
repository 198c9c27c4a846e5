"""Rows of any type into blocks of any GGUF type that can be written.

The search for scales and codes is compiled, once for each instruction set (`pyx/isa/quantize_*.pxi`); it minimizes
the sum of importance * (value - stored value)**2. Here arguments are checked and the rows are shared out to threads, a
slab at a time; between slabs Ctrl-C is heard. A thread makes float32 of a few rows at a time, so that they never leave
its cache.
"""

import collections
import functools
import importlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from llama_gguf import engine
from llama_gguf.engine.quants import dequantize
from llama_gguf.errors import FormatError, ModelError
from llama_gguf.gguf.types import TYPES, TensorType

QUANTIZERS = ("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
              "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS",
              "TQ1_0", "TQ2_0", "MXFP4", "NVFP4", "Q1_0", "Q2_0")
"""Names of the types that can be written, beside F32."""

NEEDS_IMPORTANCE = frozenset(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS"))
"""Types so small that without importance nothing useful is left; pass ones to insist. For whole models llama-quantize
wants it for two more: recipes.NEEDED."""

SLAB = 1 << 16
"""Values that a thread takes at once: 40 ms with the slowest type in plain C."""
QUICK_SLAB = 1 << 20
QUICK = frozenset(("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q1_0", "Q2_0", "TQ1_0", "TQ2_0",
                   "MXFP4"))
"""Types that are stored so quickly that a slab may be larger: to hand one over takes 0.1 ms."""
AHEAD = 2
"""Slabs for each thread that may be stored before the first of them is asked for."""

LEAST = 2.0**-20
"""Of the mean importance: no column counts less, so that a dead channel still gets the codes nearest to it."""


def quantize_rows(values, type, weights=None, n_threads=None):
    """uint8 (rows, row_bytes) from `values`, float32 (rows, columns), for the type named (or a TensorType).

    `weights`, float32 (columns,), says how much an error in each column matters, as an importance matrix does;
    None: all the same. The bytes do not depend on `n_threads` or on the instruction set. FormatError where columns
    are not whole blocks, ModelError where there is no such type to write, a value is NaN or infinite, or importance is
    missing or no importance.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.ndim != 2:
        raise FormatError(f"rows of values are wanted, shape (rows, columns), not {values.shape}")
    raw = values.view(np.uint8) if values.size else np.empty((len(values), 4 * values.shape[1]), np.uint8)
    return convert_rows(raw, TYPES["F32"], type, weights, n_threads)


def convert_rows(raw, source, type, weights=None, n_threads=None):
    """As quantize_rows, from rows stored as the TensorType `source`: uint8 (rows, row bytes), C-contiguous."""
    kind, cols = writable(type), raw.shape[1] // source.bytes * source.block
    out = np.empty((len(raw), row_bytes(kind, cols)), dtype=np.uint8)
    weights = importance(weights, kind, cols)
    n_threads = n_threads or engine.default_threads()

    def store(rows):
        convert_slab(raw[rows], source, kind, weights, out[rows], rows.start)

    if n_threads == 1 or len(raw) * cols <= SLAB:
        for rows in slabs(len(raw), cols, kind):
            store(rows)
    else:
        share(store, slabs(len(raw), cols, kind, n_threads), n_threads)
    return out


def convert_slab(raw, source, kind, weights, out, first_row=0):
    """Rows of one type into `out`, uint8 (rows, row bytes) of another, in this thread.

    `weights`: those that `importance` returns. `first_row`: how errors count.
    """
    wrong = compiled().quantize(kind.id, source.id, raw, weights, out)
    if wrong >= 0:
        values = dequantize(raw[wrong : wrong + 1], source.id, len(weights), 1)[0]
        column = np.flatnonzero(~np.isfinite(values))[0]
        raise ModelError(
            f"the value in row {first_row + wrong}, column {column} is {values[column]}: a model with such weights"
            " answers nothing; mend the source"
        )


def share(store, pieces, n_threads):
    """Each of n_threads takes the next of `pieces` when it is done with one. They are Python's threads, not a team of
    OpenMP's, which spins where it waits and burns the time of whoever else has work for the processor."""
    lock, stop = threading.Lock(), threading.Event()

    def work():
        while not stop.is_set():
            with lock:
                rows = next(pieces, None)
            if rows is None:
                return
            try:
                store(rows)
            except BaseException:
                stop.set()
                raise

    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for done in [pool.submit(work) for _ in range(n_threads)]:
                done.result()
        finally:
            stop.set()


def in_order(jobs, n_threads):
    """What `jobs` (functions) return, in their order; so many threads are ahead of whoever takes it."""
    ahead = collections.deque()
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for job in jobs:
                ahead.append(pool.submit(job))
                if len(ahead) > AHEAD * n_threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for job in ahead:
                job.cancel()


@functools.cache
def compiled():
    """The module of quantizers for the instruction set in use."""
    isa = {"avxvnni": "avx2", "amx": "avx512"}.get(engine.isa, engine.isa)
    return importlib.import_module(f"llama_gguf.engine.quantize_{isa}")


def writable(type):
    """The TensorType of that name, if there is a quantizer for it."""
    name = type.name if isinstance(type, TensorType) else str(type).upper()
    if name not in TYPES:
        raise ModelError(f"there is no tensor type {name}; types that can be written: {', '.join(QUANTIZERS)}")
    if name != "F32" and name not in QUANTIZERS:
        raise ModelError(f"{name} cannot be written; types that can: {', '.join(QUANTIZERS)}")
    return TYPES[name]


def row_bytes(kind, n_cols):
    if n_cols % kind.block == 0:
        return kind.row_bytes(n_cols)
    fits = [name for name in QUANTIZERS if n_cols % TYPES[name].block == 0]
    raise FormatError(
        f"{kind} holds blocks of {kind.block} values, and rows of {n_cols} are not whole blocks; types that fit: "
        + ", ".join(sorted(fits, key=lambda name: TYPES[name].bits_per_weight))
    )


def importance(weights, kind, n_cols):
    """float32 (n_cols,), none of it zero and the mean one; ModelError where it is no importance."""
    if weights is None:
        if kind.name in NEEDS_IMPORTANCE:
            raise ModelError(
                f"{kind} needs an importance matrix: without one the model that comes out is of no use"
                " (make one with `llama-gguf imatrix`, or pass weights of one to insist)"
            )
        return np.ones(n_cols, dtype=np.float32)
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (n_cols,):
        raise ModelError(f"importance is one number per column, shape ({n_cols},), not {weights.shape}")
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if wrong.size:
        raise ModelError(f"the importance of column {wrong[0]} is {weights[wrong[0]]}: it must be finite, not negative")
    top = weights.max(initial=0.0)
    if top == 0:
        return np.ones(n_cols, dtype=np.float32)
    weights = weights / top  # sums of huge or tiny ones stay in range
    return np.maximum(weights / weights.mean(), LEAST).astype(np.float32)


def slabs(n_rows, n_cols, kind, n_threads=1):
    """Slices of so many rows that asking for the next one costs nothing and Ctrl-C is heard at once; no fewer than
    there are threads."""
    step = (QUICK_SLAB if kind.name in QUICK else SLAB) // max(1, n_cols)
    step = max(1, min(step, -(-n_rows // n_threads)))
    return (slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))
