"""Would the file run? The model file is traced over shapes alone, before a byte is written."""

from ..errors import ModelError
from ..forward import graph_of
from ..gguf import TYPES, Metadata


class Shape:
    """A tensor of a file that is not there yet; its numbers, if no folder has them."""

    def __init__(self, planned, type):
        self.name, self.type = planned.name, TYPES[type]
        self.shape = (*planned.shape[:-1], planned.shape[-1] // 17 * 32) if type == "MXFP4" else planned.shape
        self._source = planned.sources[0]

    def numpy(self):
        return self._source.float32()


def check(metadata, tensors, folder):
    """ModelError where llama-gguf could not run a file of these metadata and tensors, {name: Shape}."""
    try:
        graph_of(Metadata.of(metadata), tensors)
    except ModelError as error:
        raise ModelError(f"the file could not run: {error} (--no-check writes it all the same)", path=folder.path,
                         key=error.key, tensor=error.tensor) from error
