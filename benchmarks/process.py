"""peer_driver.py as seen from the other side, and whole programs with a clock and a scale."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import OURS

DRIVER = Path(__file__).with_name("peer_driver.py")


class EngineError(Exception):
    """What an engine could not do."""


class Engine:
    """One engine in its own process; `ask` a question of peer_driver.py.

        with Engine("llama.cpp", python) as engine:
            engine.ask("load", path="model.gguf", threads=2)
    """

    def __init__(self, name, peer_python=None, verbose=False):
        self.name, self.command = name, driver_command(name, peer_python)
        self.stderr = None if verbose else subprocess.DEVNULL
        self.start()

    def start(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self.command, stdin=pipe, stdout=pipe, stderr=self.stderr, text=True
        )

    def load(self, **how):
        """Ask to load a model, and remember how."""
        self.loaded = how
        return self.ask("load", **how)

    def restart(self):
        """A new process with the same model: the old one ended, or is in doubt."""
        self.process.kill()
        self.close()
        self.start()
        self.load(**self.loaded)

    def ask(self, do, **arguments):
        """The answer; EngineError if there is none."""
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self.process.wait()
            raise EngineError(f"{self.name} ended with code {code}; --verbose shows what it said")
        answer = json.loads(line)
        if "error" in answer:
            raise EngineError(f"{self.name}: {answer['error']}")
        return answer["answer"]

    def close(self):
        """Its input ends, and so does it."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def python_of(name, peer_python):
    """Ours runs in this Python, peers in theirs."""
    if name == OURS:
        return sys.executable
    if not peer_python:
        raise EngineError(f"{name} needs --peer-python, a Python that has it installed")
    return peer_python


def driver_command(name, peer_python=None):
    return [python_of(name, peer_python), str(DRIVER), name]


def run_once(command, verbose=False):
    """{"first": seconds to the first byte on stdout, "whole": to its end, "peak_bytes"}.

    peak_bytes is None where the system does not tell. A child never counts less than its
    parent had at its start, so this one must have been small until now.
    """
    start = time.perf_counter()
    nothing = subprocess.DEVNULL
    stderr = None if verbose else nothing
    child = subprocess.Popen(command, stdin=nothing, stdout=subprocess.PIPE, stderr=stderr)
    first = os.read(child.stdout.fileno(), 1)
    first_seconds = time.perf_counter() - start
    child.stdout.read()
    child.stdout.close()
    code, peak = reap(child)
    whole = time.perf_counter() - start
    if code or not first:
        raise EngineError(f"{' '.join(command)} ended with code {code}")
    return {"first": first_seconds, "whole": whole, "peak_bytes": peak}


def reap(child):
    """(exit code, most memory in bytes or None)"""
    if not hasattr(os, "wait4"):
        return child.wait(), None
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
