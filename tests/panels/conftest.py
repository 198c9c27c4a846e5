"""Panels without a browser: a tiny model, clicks and changes of traits, waiting on `state`."""

import pytest

from llama_gguf import Model
from llama_gguf.testing import tiny


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("panels") / "tiny.gguf")


@pytest.fixture
def model(tiny_file):
    with Model(tiny_file, n_threads=1) as m:
        yield m


def finish(panel, seconds=60):
    """Wait for a panel; what it says in the end."""
    assert panel.wait(seconds) != "running"
    return panel.message
