"""Where texts are cut into words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_gguf.vocab import unicode_data
from llama_gguf.vocab.pretokenizers import BY_NAME
from llama_gguf.vocab.words import Words


def words(name, text):
    ends = list(Words(BY_NAME[name].steps).split(text))
    return [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize(("name", "text", "cut"), [
    ("gpt-2", "I'm 12 años!!  ok\n", ["I", "'m", " 12", " años", "!!", " ", " ok", "\n"]),
    ("llama3", "I'M 12345 x\n\n y", ["I", "'M", " ", "123", "45", " x", "\n\n", " y"]),
    ("qwen2", "a12\r\n b", ["a", "1", "2", "\r\n", " b"]),
    ("smollm", "a12 b", ["a", "1", "2", " b"]),
    ("gpt-4o", "aXMLFile's", ["a", "XMLFile's"]),
    ("superbpe", "x1234567", ["x", "1", "234", "567"]),
    ("afmoe", "ab12345", ["ab", "12", "345"]),
    ("kimi-k2", "中文abc", ["中文", "abc"]),
    ("gemma4", "a b\n\nc", ["a b", "\n\n", "c"]),
])
def test_pattern_cuts(name, text, cut):
    assert words(name, text) == cut


@given(st.text(max_size=40), st.sampled_from(sorted(BY_NAME)))
def test_words_lie_side_by_side(text, name):
    assert "".join(words(name, text)) == text


def test_categories_cover_unicode():
    table = unicode_data.categories()
    assert len(table) == unicode_data.N_CODE_POINTS
    for char, letter in {"a": "L", "1": "N", " ": "Z", "\n": "C", "\u0301": "M", "€": "S",
                         "!": "P", "\u0378": "U", "中": "L"}.items():
        assert table[ord(char)] == ord(letter)
