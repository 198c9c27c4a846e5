"""A tiny model for sessions, and one that takes its time."""

import pytest

from llama_gguf import Model
from llama_gguf.testing import tiny


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", context=512)


@pytest.fixture
def model(file):
    with Model(file, n_threads=2) as model:
        yield model


@pytest.fixture(scope="session")
def slow(tmp_path_factory):
    """A model that takes its time: tens of milliseconds for a step of 256 tokens."""
    path = tiny(tmp_path_factory.mktemp("slow") / "slow.gguf", layers=12, width=256, ff=1024, context=2048)
    with Model(path, n_threads=2) as model:
        yield model
