"""The program with a fake model in place of the engine, in this process and as a real one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

FAKE = Path(__file__).with_name("fake_model.py")
LAUNCHER = f"""if 1:
    import importlib.util, sys
    spec = importlib.util.spec_from_file_location("llama_gguf.model", {str(FAKE)!r})
    sys.modules["llama_gguf.model"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from llama_gguf.cli import main
    main()"""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No cache of the user's and no network."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("LLAMA_GGUF_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("LLAMA_GGUF_DEBUG", raising=False)


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return str(path)


@pytest.fixture
def plain_file(tmp_path):
    """A model without a chat template."""
    path = tmp_path / "plain.gguf"
    path.write_bytes(b"GGUF")
    return str(path)


@pytest.fixture
def fake(monkeypatch):
    """The fake module, installed as llama_gguf.model."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("llama_gguf.model", FAKE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "llama_gguf.model", module)
    return module.Model


@pytest.fixture
def invoke(fake):
    """Run a command line in this process; the result has stdout, stderr and exit_code."""
    from llama_gguf.cli import cli

    return lambda *args, **options: CliRunner().invoke(cli, args, **options)


@pytest.fixture
def program():
    """Run a command line as a process, stdin closed unless given."""

    def run(*args, **options):
        options = {"capture_output": True, "timeout": 60, "encoding": "utf-8"} | options
        if "input" not in options and "stdin" not in options:
            options["stdin"] = subprocess.DEVNULL
        return subprocess.run([sys.executable, "-c", LAUNCHER, *args], **options)

    run.command = [sys.executable, "-c", LAUNCHER]
    run.environment = os.environ
    return run
