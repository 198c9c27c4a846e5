"""Run a test once with each instruction set: a set is chosen when the engine starts, so each has a process of its own.

A test that takes `isa` runs in the child that was forced to it; a crash there (a guard page, a wrong
instruction) fails that test alone. A conftest.py imports `isa` and `pytest_pyfunc_call` from here.
"""

import importlib
import json
import os
import pickle
import platform
import struct
import subprocess
import sys
import traceback
import types
from pathlib import Path

import pytest

ARM = platform.machine().lower() in ("aarch64", "arm64")
ISAS = ("generic", "neon") if ARM else ("generic", "avx2", "avxvnni", "avx512", "amx")
ROOT = Path(__file__).parent.parent


class Child:
    """A Python in which LLAMA_GGUF_ISA is set; `call` runs a function of a test file there."""

    def __init__(self, isa):
        self.isa, self.process = isa, None

    def start(self):
        code = (
            "import json, sys; sys.path[:] = json.loads(sys.argv[2]); import importlib.util as u;"
            "s = u.spec_from_file_location('isas', sys.argv[1]); m = u.module_from_spec(s);"
            "s.loader.exec_module(m); m.serve()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, __file__, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"LLAMA_GGUF_ISA": self.isa},
        )

    def call(self, module, name, kwargs):
        if self.process is None:
            self.start()
        put(self.process.stdin, (module, name, kwargs))
        answer = get(self.process.stdout)
        if answer is None:
            code, self.process = self.process.wait(), None
            pytest.fail(f"the process of {self.isa} died: exit code {code}", pytrace=False)
        outcome, text = answer
        if outcome == "skipped":
            pytest.skip(text)
        if outcome == "failed":
            pytest.fail(text, pytrace=False)

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


def put(stream, thing):
    raw = pickle.dumps(thing)
    stream.write(struct.pack("<Q", len(raw)) + raw)
    stream.flush()


def get(stream):
    head = stream.read(8)
    return pickle.loads(stream.read(struct.unpack("<Q", head)[0])) if len(head) == 8 else None


def serve():
    """The child's loop. Its standard output belongs to the answers; prints go to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    open_packages()
    while (request := get(sys.stdin.buffer)) is not None:
        put(answers, run(*request))


def open_packages():
    """Make the folders of tests importable, as pytest does, without putting the source on the path."""
    for folder in ("tests", "tests.engine", "tests.models", "tests.session"):
        package = types.ModuleType(folder)
        package.__path__ = [str(ROOT.joinpath(*folder.split(".")))]
        sys.modules[folder] = package


def run(module, name, kwargs):
    try:
        getattr(importlib.import_module(module), name)(**kwargs)
        return "passed", ""
    except pytest.skip.Exception as reason:
        return "skipped", str(reason)
    except BaseException:
        return "failed", traceback.format_exc()


def usable(isa):
    """Why this set cannot run here, or None."""
    from llama_gguf import engine
    from llama_gguf.errors import LlamaGGUFError

    try:
        engine.checked(isa)
    except LlamaGGUFError as error:
        return str(error)


@pytest.fixture(scope="session", params=ISAS)
def isa(request):
    if why := usable(request.param):
        pytest.skip(why)
    child = Child(request.param)
    yield child
    child.stop()


def pytest_pyfunc_call(pyfuncitem):
    child = pyfuncitem.funcargs.get("isa")
    if not isinstance(child, Child):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    kwargs = {n: pyfuncitem.funcargs[n] for n in names} | {"isa": child.isa}
    folder = pyfuncitem.path.relative_to(ROOT).with_suffix("")
    child.call(".".join(folder.parts), pyfuncitem.originalname, kwargs)
    return True
