"""What the library logs, shown as plain lines on stderr."""

import logging
from contextlib import contextmanager

from llama_gguf.cli._output import note


class _ToStderr(logging.Handler):
    def emit(self, record):
        note(record.getMessage())


@contextmanager
def log_on_stderr():
    """While the block runs; the library's own users find their logging as they left it."""
    log, handler = logging.getLogger("llama_gguf"), _ToStderr()
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate
