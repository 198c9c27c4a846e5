"""Vocabularies: three real ones with what llama.cpp makes of some texts, and tiny made ones."""

import json
import lzma
import tarfile
from pathlib import Path

import pytest

from llama_gguf.gguf import GGUFFile
from llama_gguf.vocab.tokenizer import Tokenizer

from .tiny_vocab import bpe_metadata, spm_metadata

DATA = Path(__file__).parent.parent / "data"


def unpacked(name):
    return lzma.decompress((DATA / "vocab" / name).read_bytes())


@pytest.fixture(scope="session")
def expected():
    """Ids from llama_tokenize of llama.cpp (llama-cpp-python 0.3.36), see data/vocab/README."""
    return json.loads(unpacked("expected.json.xz"))


@pytest.fixture(scope="session")
def nasty():
    """Every Unicode block, joiners, combining marks, CRLF, runs, special tokens' texts."""
    return unpacked("nasty.txt.xz").decode()


@pytest.fixture(scope="session")
def vocab_metadata(tmp_path_factory):
    """Metadata of a real vocabulary by name."""
    folder, opened = tmp_path_factory.mktemp("vocab"), {}

    def load(name):
        if name not in opened:
            (folder / name).write_bytes(unpacked(f"{name}.gguf.xz"))
            opened[name] = GGUFFile(folder / name)
        return opened[name].metadata

    return load


@pytest.fixture(scope="session")
def badgguf(tmp_path_factory):
    """Folder with the malformed files and their index.json."""
    folder = tmp_path_factory.mktemp("corpus")
    with tarfile.open(DATA / "badgguf.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "badgguf"


@pytest.fixture
def bpe():
    """A tiny byte-level tokenizer; keyword arguments replace keys."""
    return lambda **keys: Tokenizer.from_metadata(bpe_metadata(**keys))


@pytest.fixture
def spm():
    return lambda *args, **keys: Tokenizer.from_metadata(spm_metadata(*args, **keys))
