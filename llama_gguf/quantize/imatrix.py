"""Importance matrices: how strongly each column of a weight is driven, the mean square of what it multiplies.

    imatrix = Imatrix.load("imatrix.gguf")          # llama.cpp's format, or its old .dat
    imatrix.weights("blk.0.ffn_down.weight", shape)  # float32 (1, cols)

Quantizers minimize sum over columns of importance * error^2: the expected error of the product, if columns are
independent.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llama_gguf.errors import ModelError

CHUNK = 512
"""Tokens of a chunk where nobody says otherwise."""


@dataclass
class Entry:
    """Of one weight: `squares`, float64 (matrices, cols), sums over rows of x^2; `sums`, the same of x, or None;
    `counts`, int64, how many rows went in: one number, or one for each expert.
    """

    squares: np.ndarray
    counts: np.ndarray
    sums: np.ndarray | None = None

    def __post_init__(self):
        self.squares = np.atleast_2d(np.asarray(self.squares, np.float64))
        self.counts = np.atleast_1d(np.asarray(self.counts, np.int64))
        if self.sums is not None:
            self.sums = np.asarray(self.sums, np.float64).reshape(self.squares.shape)

    @property
    def means(self):
        """float64 (matrices, cols) of x^2; NaN for experts that no token went to."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self._counts > 0, self.squares / self._counts, np.nan)

    @property
    def _counts(self):
        return self.counts[:, None] if len(self.counts) > 1 else self.counts[0]

    @property
    def unseen(self):
        """How many experts have no data."""
        return int((self.counts == 0).sum())

    def add(self, other):
        """Add the sums of another entry of the same weight."""
        if self.squares.size != other.squares.size:
            raise ValueError(f"{self.squares.size} and {other.squares.size} columns")
        if len(self.counts) != len(other.counts):  # an old file has one count for all experts
            n = max(len(self.counts), len(other.counts))
            self.counts, counts = (np.broadcast_to(c, n) if len(c) == 1 else c for c in (self.counts, other.counts))
        else:
            counts = other.counts
        shape = max(self.squares.shape, other.squares.shape)
        self.squares = self.squares.reshape(shape) + other.squares.reshape(shape)
        self.counts = self.counts + counts
        both = self.sums is not None and other.sums is not None
        self.sums = self.sums.reshape(shape) + other.sums.reshape(shape) if both else None


class Imatrix(Mapping):
    """Names of weights to Entries, with the texts (`datasets`) and chunks of `chunk_size` tokens they were made of.

    n_layer_nextn: how many of the last blocks predict tokens further ahead, where llama.cpp has collected them too.
    """

    def __init__(self, entries=None, datasets=(), n_chunks=0, chunk_size=CHUNK, path=None, n_layer_nextn=0):
        self._entries, self.datasets = dict(entries or {}), list(datasets)
        self.n_chunks, self.chunk_size, self.path, self.n_layer_nextn = n_chunks, chunk_size, path, n_layer_nextn

    @classmethod
    def of(cls, sums, **more):
        """From {name: (sums of squares, counts)}."""
        return cls({name: Entry(*entry) for name, entry in sums.items()}, **more)

    def __getitem__(self, name):
        return self._entries[name]

    def __iter__(self):
        return iter(self._entries)

    def __len__(self):
        return len(self._entries)

    def __repr__(self):
        return f"<Imatrix of {len(self)} weights, {self.n_chunks} chunks of {self.chunk_size} tokens>"

    def weights(self, name, shape):
        """float32 (matrices, cols) for a tensor of `shape` in NumPy order, or None where there are no data.

        Experts that no token went to get the mean of the others'. ModelError where the sizes say that the matrix was
        made with another model.
        """
        entry = self._entries.get(name)
        if entry is None or not entry.counts.any():
            return None
        matrices = int(np.prod(shape[:-2], dtype=int))
        if entry.squares.size != matrices * shape[-1]:
            raise ModelError(
                f"the importance matrix has {entry.squares.size} columns for tensor {name}, but the model has"
                f" {matrices * shape[-1]}: it was made with another model",
                path=self.path and str(self.path),
                tensor=name,
            )
        means = entry.means.reshape(matrices, shape[-1])
        if entry.unseen:
            means = np.where(np.isnan(means), np.nanmean(means, 0), means)
        if not np.isfinite(means).all() or (means < 0).any():
            raise ModelError("the importance matrix holds numbers that no sum of squares can be",
                             path=self.path and str(self.path), tensor=name)
        return means.astype(np.float32)

    def add(self, name, entry):
        """Add sums to those of a weight."""
        if name not in self._entries:
            self._entries[name] = entry
            return
        try:
            self._entries[name].add(entry)
        except ValueError as error:
            raise ModelError(f"two importance matrices disagree about {name}: {error}", tensor=name) from None

    def merge(self, *others):
        """A new matrix with the sums of all."""
        whole = Imatrix(chunk_size=self.chunk_size)
        for one in (self, *others):
            for name, entry in one.items():
                whole.add(name, Entry(entry.squares.copy(), entry.counts.copy(), entry.sums))
            whole.datasets += [d for d in one.datasets if d not in whole.datasets]
            whole.n_chunks += one.n_chunks
            whole.n_layer_nextn = whole.n_layer_nextn or one.n_layer_nextn
        return whole

    def only(self, include=(), exclude=()):
        """Without the weights whose names hold one of `exclude`, or none of `include`."""
        kept = {
            name: entry
            for name, entry in self.items()
            if not any(part in name for part in exclude) and (not include or any(part in name for part in include))
        }
        return Imatrix(kept, self.datasets, self.n_chunks, self.chunk_size, self.path, self.n_layer_nextn)

    @classmethod
    def load(cls, path):
        """Of a file in llama.cpp's GGUF or old binary format; FormatError names what is wrong with it."""
        from llama_gguf.quantize.imatrix_files import load

        return load(os.fspath(path))

    def save(self, path, force=False, legacy=None):
        """Write a GGUF file, or the old binary format (legacy; None: if the name ends in .dat)."""
        from llama_gguf.quantize.imatrix_files import save

        save(self, os.fspath(path), force, os.fspath(path).endswith(".dat") if legacy is None else legacy)

    def stats(self):
        """Statistics of each weight; see statistics.Statistics."""
        from llama_gguf.quantize.statistics import Statistics

        return Statistics(self)
