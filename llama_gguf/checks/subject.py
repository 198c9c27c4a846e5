"""What checks look at: an open file, and what is to become of it."""

from functools import cached_property

from llama_gguf.errors import LlamaGGUFError
from llama_gguf.forward import graph_of
from llama_gguf.quantize.plan import Plan
from llama_gguf.quantize.recipes import Recipe


class Subject:
    """`file`, its `metadata` and `tensors`, the `recipe` it is to be quantized by (or None), and `weights`: may they be
    read?
    """

    def __init__(self, file, type=None, imatrix=None, weights=True):
        self.file, self.metadata, self.tensors, self.weights = file, file.metadata, file.tensors, weights
        self.recipe = type if type is None or isinstance(type, Recipe) else Recipe(type)
        self.imatrix = imatrix

    @cached_property
    def arch(self):
        value = self.metadata.get("general.architecture", "")
        return value if isinstance(value, str) else ""

    @cached_property
    def graph(self):
        """The model's graph, or the error that says why there is none."""
        try:
            return graph_of(self.metadata, self.tensors)
        except LlamaGGUFError as error:
            return error

    @cached_property
    def runs(self):
        return not isinstance(self.graph, Exception)

    @cached_property
    def plan(self):
        """What quantizing would do, or None where that is not asked."""
        return self.recipe and Plan(self.file, self.recipe, self.imatrix)
