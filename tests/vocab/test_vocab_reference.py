"""The same ids as llama.cpp, on real vocabularies."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llama_gguf.gguf.metadata import Metadata
from llama_gguf.vocab.pretokenizers import BY_NAME
from llama_gguf.vocab.tokenizer import Tokenizer

NAMES = ("gpt-2", "llama-spm", "bert-bge")


@pytest.fixture(scope="module")
def tokenizer(vocab_metadata):
    made = {}

    def get(name):
        if name not in made:
            made[name] = Tokenizer.from_metadata(vocab_metadata(name))
        return made[name]

    return get


@pytest.mark.parametrize("name", NAMES)
def test_cases_of_llama_cpp_have_its_ids(name, tokenizer, expected):
    tok = tokenizer(name)
    for text, ids in expected[name]["cases"]:
        assert tok.encode(text, bos=False, special=False) == ids, text


@pytest.mark.parametrize("flags", ["11", "10", "01", "00"], ids=lambda f: f"special{f[0]}-bos{f[1]}")
@pytest.mark.parametrize("name", NAMES)
def test_nasty_text_has_llama_cpps_ids(name, flags, tokenizer, expected, nasty):
    special, bos = (flag == "1" for flag in flags)
    assert tokenizer(name).encode(nasty, bos=bos, special=special) == expected[name]["nasty"][flags]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_tokens_end_a_generation(name, tokenizer, expected):
    assert sorted(tokenizer(name).eog) == expected[name]["eog"]


@pytest.mark.parametrize("pre", [name for name, row in BY_NAME.items() if row.byte_level])
def test_word_pattern_cuts_as_llama_cpp(pre, vocab_metadata, expected, nasty):
    values = vocab_metadata("gpt-2").typed() | {"tokenizer.ggml.pre": pre}
    tok = Tokenizer.from_metadata(Metadata.of(values))
    assert tok.encode(nasty) == expected["pre"]["rows"][expected["pre"]["names"][pre]]


@pytest.mark.parametrize("name", NAMES[:2])
def test_nasty_text_comes_back(name, tokenizer, nasty):
    tok = tokenizer(name)
    nasty = nasty.replace("▁", "_")  # SentencePiece cannot tell it from a space
    assert tok.decode(tok.encode(nasty)) == nasty


@given(text=st.text(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", NAMES[:2])
def test_any_text_comes_back(name, tokenizer, text):
    tok = tokenizer(name)
    text = text.replace("▁", "_")
    for special in (True, False):
        assert tok.decode(tok.encode(text, special=special)) == text


def test_smollm2_is_tokenized_as_by_llama_cpp(smollm2):
    from llama_gguf.gguf import GGUFFile

    with GGUFFile(smollm2) as file:
        tok = Tokenizer.from_metadata(file.metadata)
    text = "<|im_start|>user\nHello world! The capital of France is<|im_end|>"
    assert tok.encode(text) == [1, 4093, 198, 19556, 905, 17, 378, 3575, 282, 4649, 314, 2]
    assert tok.decode(tok.encode(text)) == text
    assert {tok.bos, tok.eos} == {1, 2} and tok.eog == {0, 2, 4}
