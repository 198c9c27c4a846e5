"""Some rows of a tensor as a tensor of their own: what a fused matrix is taken apart into, without a copy."""


class TensorRows:
    """Rows start ... stop of a matrix, or values of a vector; the name says which: "blk.0.attn_qkv.weight[64:96]"."""

    def __init__(self, tensor, start, stop):
        self._tensor, self._start, self._stop = tensor, start, stop
        self.name, self.type = f"{tensor.name}[{start}:{stop}]", tensor.type
        self.shape = (stop - start, *tensor.shape[1:])

    @property
    def row_bytes(self):
        return self._tensor.row_bytes

    @property
    def raw(self):
        return self._tensor.raw[self._start : self._stop]

    def numpy(self):
        return self._tensor.numpy()[self._start : self._stop]

    def release(self, first=0, rows=None):
        if len(self.shape) > 1:
            self._tensor.release(self._start + first, self.shape[0] if rows is None else rows)
