"""Small files, valid and not: the corpus of malformed ones, and a way to make more."""

import tarfile
from pathlib import Path

import pytest

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="session")
def badgguf(tmp_path_factory):
    """Folder with the malformed files and their index.json."""
    folder = tmp_path_factory.mktemp("corpus")
    with tarfile.open(DATA / "badgguf.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "badgguf"


@pytest.fixture
def put(tmp_path):
    """Writes bytes to a file and returns its path."""

    def write(raw, name="made.gguf"):
        path = tmp_path / name
        path.write_bytes(raw)
        return path

    return write
