"""The text of --version: what a bug report needs."""

import platform
from importlib.metadata import PackageNotFoundError, version

from llama_gguf import __version__


def version_text():
    """One line: version, Python, NumPy, instruction set, OpenMP, threads."""
    return ", ".join(
        [
            f"llama-gguf {__version__}",
            f"Python {platform.python_version()}",
            f"NumPy {_version_of('numpy')}",
            *_engine(),
        ]
    )


def _version_of(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _engine():
    try:
        from llama_gguf import engine
    except ImportError:
        return ["engine not built"]
    threads = engine.default_threads()
    return [
        f"instruction set {engine.isa}",
        f"OpenMP {'yes' if engine.openmp else 'no'}",
        f"{threads} thread{'s' * (threads != 1)}",
    ]
