"""A model with one tensor changed, in memory: everything else is shared with the model it was made from."""

import copy
import threading

import numpy as np

from ..errors import ModelError
from ..gguf import TYPES, Tensor, Tensors

PIECE = 1 << 24
"""Values that are dequantized and quantized at a time: 64 MB of float32."""


class Memory:
    """What a Tensor reads instead of a file: bytes in memory."""

    def __init__(self, array, path):
        array = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        array.flags.writeable = False
        self._array, self.path = array, path

    def view(self, start, n_bytes):
        """(buffer, where in it) that holds a range."""
        return self._array, start

    def release(self, start, n_bytes):
        """These pages have no file behind them."""


class SharedFile:
    """The file of another model, which alone closes it."""

    def __init__(self, model):
        self._model, self._file = model, model.file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def check_unchanged(self):
        if self._model.graph is None:
            raise ModelError("the model that this one was made from is closed", path=str(self._model.path))
        self._file.check_unchanged()

    def close(self):
        """Not ours to close."""


def made(name, kind, shape, raw, path):
    """A Tensor of these bytes."""
    raw = np.asarray(raw)
    return Tensor((name, kind, tuple(shape), 0, raw.nbytes), Memory(raw, path), 0)


def converted(tensor, type=None, values=None, weights=None):
    """A tensor of the same name and shape in another type, of its own values or of others.

    type: a name; None: the type it has, F32 for new values where that one cannot be written. weights: importance of
    each column, as quantize_rows takes it. Rows are converted a few at a time.
    """
    from ..quantize.rows import QUANTIZERS, quantize_rows

    given = None if values is None else checked_values(tensor, values)
    if type is None:
        type = tensor.type.name if given is None or tensor.type.name in QUANTIZERS else "F32"
    name, cols = str(type).upper(), tensor.shape[-1]
    raw, step = tensor.raw, max(1, PIECE // cols)
    if given is None and name == tensor.type.name:
        return made(tensor.name, tensor.type, tensor.shape, raw.copy(), tensor.path)
    parts = []
    for at in range(0, len(raw), step):
        some = tensor._dequantize(raw[at : at + step]) if given is None else given[at : at + step]
        parts.append(quantize_rows(np.ascontiguousarray(some), name, weights))
        tensor.release(at, len(some))
    return made(tensor.name, TYPES[name], tensor.shape, np.concatenate(parts), tensor.path)


def checked_values(tensor, values):
    """float32 (rows, cols) of new values for a tensor, or ValueError."""
    values = np.asarray(values, np.float32)
    if values.shape != tuple(tensor.shape):
        raise ValueError(f"tensor {tensor.name} has shape {tensor.shape}, the values given {values.shape}")
    return values.reshape(-1, tensor.shape[-1])


def with_tensor(model, name, type=None, values=None, weights=None):
    """A model that differs in one tensor. It shares file, vocabulary and packed weights with `model`, which stays as
    it is: only this tensor is converted and packed. It is not steered. Close the new one before the old.
    """
    model._need_weights()
    tensor = model.tensors[name]
    if isinstance(tensor, Tensors):
        raise ValueError(f"{name!r} names {len(tensor)} tensors; one is wanted")
    changed = converted(tensor, type, values, weights)
    new = copy.copy(model)
    new.tensors = Tensors({**model.tensors, name: changed})
    new.file, new._lock, new._session, new._embedder = SharedFile(model), threading.RLock(), None, None
    new.steering, new._steers = {}, {}
    new.store = model.store.without(name)
    try:
        new.graph = new.trace_graph()
    except ModelError as error:
        raise new._located(error) from error
    return new
