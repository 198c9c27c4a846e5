"""The weights as the engine wants them: packed into panels, or left in the file and read where they are."""

import numpy as np

from .engine import plan as engine
from .errors import ModelError


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

    def binding(self, tensor):
        """The arguments of Plan.add_matrix for a tensor."""
        if tensor.name not in self._bindings:
            self._bindings[tensor.name] = self._bind(tensor)
        return self._bindings[tensor.name]

    def _bind(self, tensor):
        need(tensor, "matmul")
        rows, cols = tensor.shape
        exact = self.exact or tensor.type.id not in self._kernels
        if not self.packed(tensor):
            return self._address(tensor.name, tensor.raw), tensor.row_bytes, rows, cols, tensor.type.id, False, exact
        size = engine.panel_bytes(tensor.type.id, cols)
        panels = np.empty(-(-rows // self._lanes) * size + 64, np.uint8)
        skip = -address(panels) % 64
        panels = panels[skip:-64] if skip == 0 else panels[skip : skip - 64]
        engine.pack(tensor.raw, tensor.type.id, cols, panels, self.n_threads)
        tensor.release()
        return self._address(tensor.name, panels), size, rows, cols, tensor.type.id, True, False

    def table(self, tensor):
        """Fields of a record that looks rows up."""
        need(tensor, "embedding")
        raw = tensor.raw
        return {"raw": (self._address(f"{tensor.name}:rows", raw), raw.shape[1]), "expand": tensor.type.id}

    def vector(self, tensor):
        """Address of a tensor as float32."""
        name = f"{tensor.name}:values"
        if name not in self._arrays:
            need(tensor, "bias" if tensor.name.endswith(".bias") else "norm")
            self._arrays[name] = np.ascontiguousarray(tensor.numpy(), np.float32)
        return address(self._arrays[name])

    def _address(self, name, array):
        self._arrays[name] = array
        return address(array)

    @property
    def packed_bytes(self):
        """Memory that panels and vectors take (mapped rows aside)."""
        return sum(a.nbytes for a in self._arrays.values() if a.flags.writeable)


def need(tensor, role):
    if role not in tensor.type.roles:
        raise ModelError(
            f"tensor {tensor.name} is {tensor.type.name}, a type that cannot serve as {role}", tensor=tensor.name
        )


def address(array):
    return array.__array_interface__["data"][0]
