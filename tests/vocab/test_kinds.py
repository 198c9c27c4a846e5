"""Vocabularies of every kind give llama.cpp's ids: its own src/llama-vocab.cpp, b11434, said so once."""

import hashlib
import json
import warnings
from array import array
from pathlib import Path

import pytest

from llama_gguf.gguf.metadata import Metadata
from llama_gguf.vocab.tokenizer import Tokenizer

from . import kinds

EXPECTED = json.loads((Path(__file__).parents[1] / "data/vocab/kinds.json").read_text())
FLAGS = [(special, bos) for special in (True, False) for bos in (True, False)]


@pytest.fixture(scope="module")
def made(vocab_metadata):
    return kinds.kinds(vocab_metadata)


def test_every_kind_has_been_asked_about(made):
    assert made.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_ids_are_those_of_llama_cpp(name, made, nasty):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tok = Tokenizer.from_metadata(Metadata.of(made[name]))
    for (special, bos), (count, digest) in zip(FLAGS, EXPECTED[name], strict=True):
        ids = tok.encode(nasty + kinds.DNA, bos=bos, special=special)
        assert (len(ids), hashlib.sha256(array("i", ids).tobytes()).hexdigest()[:16]) == (count, digest)
