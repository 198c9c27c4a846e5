"""The weights as the engine wants them: packed into panels, or left in the file and read where they are."""

import copy
import math
import re

import numpy as np

from .engine import panels as engine

PRODUCTS = {"matmul", "heads_matmul", "experts", "experts_sum"}  # records that multiply by their `weight`
LINE = 64  # bytes of a cache line, where panels begin
BATCH = 16 << 20, 64 << 20  # bytes, least and most, that are packed before the file's pages are given back


class WeightStore:
    """Packs each matrix once; all plans of a model share it.

    `exact`: every product runs on float activations and dequantized weights. `repack` False keeps weights in the
    mapped file and makes panels in passing: less memory, slower decoding.
    """

    def __init__(self, *, repack=True, exact=False, n_threads=1):
        self.repack, self.exact, self.n_threads = repack, exact, n_threads
        self._kernels = engine.packed_types()
        self._lanes = engine.lanes()
        self._bindings, self._arrays = {}, {}

    def quantized(self, tensor):
        """Does a product with this tensor take 8-bit activations?"""
        return not self.exact and self._kernels.get(tensor.type.id, False)

    def packed(self, tensor):
        """Will this tensor lie in panels?"""
        return self.repack and not self.exact and tensor.type.id in self._kernels

    def without(self, name):
        """A store that shares all but what was made of one tensor, for a model in which that one is another."""
        new = copy.copy(self)
        new._bindings, new._arrays = (
            {key: value for key, value in made.items() if re.split(r"[:\[]", key)[0] != name}
            for made in (self._bindings, self._arrays)
        )
        return new

    def binding(self, tensor):
        """The arguments of Plan.add_matrix for a tensor."""
        if tensor.name not in self._bindings:
            self._bindings[tensor.name] = self._bind(tensor)
        return self._bindings[tensor.name]

    def pack(self, tensors):
        """Pack what is to be packed, into one block of memory: the system can give large pages to that."""
        tensors = [t for t in dict.fromkeys(tensors) if self.packed(t)]
        sizes = [self.panels_bytes(t) for t in tensors]
        room = np.empty(sum(sizes) + LINE, np.uint8)
        at, jobs = -address(room) % LINE, []
        for tensor, size in zip(tensors, sizes, strict=True):
            jobs.append((tensor, room[at : at + size]))
            at += size
        least, most = BATCH  # each batch ends in a barrier: some 64 of them
        batch = min(most, max(least, room.nbytes // 64))
        for part in batches(self._pieces(jobs, batch), batch):
            engine.pack([(raw, t.type.id, t.shape[-1], panels) for t, _, raw, panels in part], self.n_threads)
            for tensor, first, raw, _ in part:
                tensor.release(first, len(raw))  # the file's pages, or both copies would be in memory
        self._bindings |= {tensor.name: self._binding(tensor, panels) for tensor, panels in jobs}

    def _pieces(self, jobs, most):
        """(tensor, first row, raw rows, their panels) of about `most` bytes at most: whole panels."""
        for tensor, panels in jobs:
            matrices, (size, _) = matrices_of(tensor), self._panels(tensor)
            if matrices.shape[1] % self._lanes == 0 and matrices.flags.c_contiguous:
                matrices = matrices.reshape(1, -1, matrices.shape[2])  # of whole panels: they are like one
            each, in_one = max(1, most // size), -(-matrices.shape[1] // self._lanes)
            for i, raw in enumerate(matrices):
                for panel in range(0, in_one, each):
                    first, end = panel * self._lanes, min(panel + each, in_one)
                    room = panels[(i * in_one + panel) * size : (i * in_one + end) * size]
                    yield tensor, i * len(raw) + first, raw[first : end * self._lanes], room

    def panels_bytes(self, tensor):
        """Bytes of a packed tensor, rounded to cache lines."""
        return -(-self._panels(tensor)[1] // LINE) * LINE

    def scratch(self, tensor):
        """Bytes in which a thread makes panels, or float rows, of a tensor that is not packed."""
        if self.packed(tensor):
            return 0
        exact = self.exact or tensor.type.id not in self._kernels
        panel = engine.panel_bytes(0 if exact else tensor.type.id, tensor.shape[-1])
        return panel + exact * 4 * self._lanes * tensor.shape[-1]

    def _panels(self, tensor):
        """Bytes of one panel, and of all; each expert's begin anew."""
        *count, rows, cols = tensor.shape
        size = engine.panel_bytes(tensor.type.id, cols)
        return size, math.prod(count) * -(-rows // self._lanes) * size

    def _binding(self, tensor, panels):
        (size, room), n = self._panels(tensor), math.prod(tensor.shape[:-2])
        return self._address(tensor.name, panels), size, room // n, *tensor.shape[-2:], tensor.type.id, True, False

    def _bind(self, tensor):
        if self.packed(tensor):
            self.pack([tensor])
            return self._bindings[tensor.name]
        exact = self.exact or tensor.type.id not in self._kernels
        matrices = matrices_of(tensor)
        where, after = self._address(tensor.name, matrices), matrices.strides[0]
        return where, tensor.row_bytes, after, *tensor.shape[-2:], tensor.type.id, False, exact

    def table(self, tensor):
        """Fields of a record that looks rows up."""
        raw = tensor.raw
        return {"raw": (self._address(f"{tensor.name}:rows", raw), raw.shape[1]), "expand": tensor.type.id}

    def vector(self, tensor, layout=np.asarray):
        """Address of a tensor as float32, turned by a function `layout`."""
        name = f"{tensor.name}:{layout.__name__}"
        if name not in self._arrays:
            self._arrays[name] = np.ascontiguousarray(layout(tensor.numpy()), np.float32)
            tensor.release()
        return address(self._arrays[name])

    def _address(self, name, array):
        self._arrays[name] = array
        return address(array)


def matrices_of(tensor):
    """The bytes of a matrix, or of each expert's: (n, rows, row_bytes), a view."""
    raw = tensor.raw
    return raw if raw.ndim == 3 else raw.reshape(-1, tensor.shape[-2], raw.shape[1])


def batches(pieces, most):
    """Pieces in groups of about `most` bytes."""
    group, size = [], 0
    for piece in pieces:
        group.append(piece)
        size += piece[-1].nbytes
        if size >= most:
            yield group
            group, size = [], 0
    if group:
        yield group


def address(array):
    return array.__array_interface__["data"][0]
