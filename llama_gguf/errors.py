"""Every error a model file, a prompt or a name can cause: one base, a few children.

Messages are one line: what is wrong, where, and what to do about it.
"""


class LlamaGGUFError(Exception):
    """Base of all errors of this package; `path`, `key` and `tensor` say where, if known."""

    def __init__(self, message, *, path=None, key=None, tensor=None):
        self.path, self.key, self.tensor = path, key, tensor
        super().__init__(f"{path}: {message}" if path else message)


class FormatError(LlamaGGUFError, ValueError):
    """The file is not a sound GGUF file."""


class ModelError(LlamaGGUFError, ValueError):
    """The file is sound GGUF, but the model in it is impossible or unknown."""


class TemplateError(LlamaGGUFError, ValueError):
    """A chat template could not be compiled or rendered."""


class ContextOverflow(LlamaGGUFError, ValueError):
    """More tokens than the context holds; `needed` and `available` count them."""

    def __init__(self, message, *, needed=None, available=None, **where):
        self.needed, self.available = needed, available
        super().__init__(message, **where)


class OutOfMemory(LlamaGGUFError, MemoryError):
    """The machine has less memory than the model needs."""


class NameNotFound(LlamaGGUFError, LookupError):
    """No file, repository, package or alias answers to this model name."""


class HubUnreachable(LlamaGGUFError, ConnectionError):
    """The Hugging Face Hub did not answer and nothing usable is cached."""


class Cancelled(LlamaGGUFError):
    """Whoever asked for long work told it to stop; nothing was written."""
