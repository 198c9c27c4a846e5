"""The X-ray shows what encode() does, and how."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_gguf.gguf.values import Typed
from llama_gguf.vocab.tokenizer import Tokenizer

from .tiny_vocab import bpe_metadata, kinds, metadata, spm_metadata

BPE, SPM = Tokenizer.from_metadata(bpe_metadata()), Tokenizer.from_metadata(spm_metadata())


def wordpiece():
    tokens = ["[UNK]", "[CLS]", "[SEP]", "▁un", "able", "▁a", "▁,"]
    return Tokenizer.from_metadata(metadata(
        "bert", tokens, unknown_token_id=0, bos_token_id=1, seperator_token_id=2,
        token_type=kinds(tokens, unknown=["[UNK]"], control=["[CLS]", "[SEP]"])))


def unigram():
    tokens = ["<pad>", "</s>", "<unk>", "▁a", "b", "ab", "▁", "▁ab"]
    scores = [0.0, 0.0, 0.0, -1.0, -1.5, -2.0, -3.0, -2.6]
    return Tokenizer.from_metadata(metadata(
        "t5", tokens, scores=Typed(scores, "f32"), add_space_prefix=True,
        token_type=kinds(tokens, control=["<pad>", "</s>"], unknown=["<unk>"])))


def test_merges_are_shown_one_by_one():
    (word, world) = BPE.explain("hello w", bos=False).words
    assert [s.pieces for s in word.steps] == [
        (b"h", b"e", b"l", b"l", b"o"), (b"he", b"l", b"l", b"o"), (b"he", b"ll", b"o"), (b"hell", b"o"), (b"hello",)]
    assert [(s.at, s.why) for s in word.steps[1:]] == [
        (0, "merge 0"), (1, "merge 1"), (0, "merge 2"), (0, "merge 3")]
    assert world.steps[-1].pieces == (b" w",)


def test_scores_are_shown():
    word = SPM.explain("ab", bos=False).words[0]
    assert [(s.pieces, s.why) for s in word.steps[1:]] == [(("▁a".encode(), b"b"), "score -1")]


def test_wordpiece_takes_the_longest_again_and_again():
    words = wordpiece().explain("Unable a, xyz").words
    assert [w.ids for w in words] == [[1], [3, 4], [5], [6], [0], [2]]
    assert [s.pieces for s in words[1].steps] == [("▁un".encode(), b"able"), ("▁un".encode(), b"able")]
    assert "unknown" in words[4].steps[0].why


def test_unigram_marks_the_best_way():
    (word, _end) = unigram().explain("ab").words
    assert [(e.piece, e.score) for e in word.edges if e.chosen] == [("▁a".encode(), -1.0), (b"b", -1.5)]
    assert ("▁ab".encode(), False) in [(e.piece, e.chosen) for e in word.edges]


def test_tokens_have_bytes_and_a_kind():
    x = BPE.explain("h</s>\udcff")
    assert [(t.bytes, t.kind) for t in x.tokens][:2] == [(b"h", "normal"), (b"</s>", "control")]
    assert x.tokens[2].bytes == b"\xed"


@given(st.text(st.characters(codec=None), max_size=40).map(lambda t: t.replace("x", "hello</s> ")))
@pytest.mark.parametrize("tok", [BPE, SPM, wordpiece(), unigram()], ids=["bpe", "spm", "wordpiece", "unigram"])
def test_explained_ids_are_those_of_encode(tok, text):
    x = tok.explain(text)
    assert x.ids == tok.encode(text)
    str(x)


@pytest.mark.parametrize("name", ["gpt-2", "llama-spm", "bert-bge"])
def test_last_steps_are_the_tokens_of_real_vocabularies(name, vocab_metadata, nasty):
    tok = Tokenizer.from_metadata(vocab_metadata(name))
    text = nasty[-2500:]
    x = tok.explain(text)
    assert x.ids == tok.encode(text)
    words = [w for w in x.words if w.steps and len(w.steps[-1].pieces) == len(w.ids)]
    assert len(words) > 100
    for word in words:
        for i, piece in zip(word.ids, word.steps[-1].pieces, strict=True):
            assert tok.kind(i) != "normal" or piece.replace("▁".encode(), b" ") == tok.piece(i)


def test_a_notebook_gets_markup_without_script():
    for tok in (BPE, SPM, wordpiece(), unigram()):
        html = tok.explain("hello ab <script>alert(1)</script>" * 9)._repr_html_()
        assert "<script" not in html , html


def test_a_long_word_is_told_by_its_tokens_alone():
    (word,) = BPE.explain("l" * 3000, bos=False).words
    assert len(word.ids) == 1500 and len(word.steps) == 1
