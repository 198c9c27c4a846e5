"""The compiled engine: chooses the instruction set once, and alone imports its kernels.

`isa` is the set in use, `openmp` whether a thread team exists, `default_threads()` its size.
"""

import functools
import importlib
import importlib.util
import os
import sys
import threading

from llama_gguf.errors import LlamaGGUFError

try:
    from llama_gguf.engine import cpu
except ImportError as error:
    raise ImportError(
        f"the compiled engine is not built here ({error}); run `pip install -e .` in the source "
        "folder, or start Python outside of it"
    ) from error

__all__ = ["cpu", "default_threads", "isa", "kernels", "openmp"]

openmp = cpu.OPENMP
default_threads = cpu.usable_threads

_held = []


def before_fork():
    """No team may be at work while the process is copied: a child would wait for its lock and its threads."""
    panels = sys.modules.get(f"{__name__}.panels")
    _held.append(getattr(panels, "compute", None) or threading.RLock())
    _held[-1].acquire()
    cpu.pause_threads()


def after_fork():
    _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before_fork, after_in_parent=after_fork, after_in_child=after_fork)


def __getattr__(name):
    if name == "isa":
        return choose_isa()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def choose_isa():
    """The best instruction set that is built and that this machine runs; LLAMA_GGUF_ISA forces."""
    forced = os.environ.get("LLAMA_GGUF_ISA", "").strip().lower()
    if forced:
        return checked(forced)
    usable = (isa for isa in cpu.NEEDS if built(isa) and not cpu.missing(isa))
    return next(usable, "generic")


def checked(isa):
    """`isa`, or an error that says why it cannot be used here."""
    if isa not in cpu.NEEDS:
        raise LlamaGGUFError(f"LLAMA_GGUF_ISA={isa} is none of {', '.join(cpu.NEEDS)}")
    if lacks := cpu.missing(isa):
        raise LlamaGGUFError(f"LLAMA_GGUF_ISA={isa}: this machine lacks {', '.join(lacks)}")
    if not built(isa):
        raise LlamaGGUFError(f"LLAMA_GGUF_ISA={isa}: the compiler that built this left it out")
    return isa


def built(isa):
    return importlib.util.find_spec(f"{__name__}.{isa}") is not None


def kernels():
    """The kernel module of `isa`. Its own start-up code holds such instructions: check first."""
    return importlib.import_module(f"{__name__}.{choose_isa()}")
