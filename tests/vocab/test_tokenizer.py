"""What any vocabulary must do: never fail on text, round trips, special tokens, odd files."""

import json
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_gguf.errors import LlamaGGUFError, ModelError
from llama_gguf.gguf import GGUFFile
from llama_gguf.gguf.values import Typed
from llama_gguf.vocab.rwkv import unescaped
from llama_gguf.vocab.tokenizer import Tokenizer

from .tiny_vocab import bpe_metadata, kinds, metadata, spm_metadata

BPE = Tokenizer.from_metadata(bpe_metadata())
SPM = Tokenizer.from_metadata(spm_metadata())
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)  # lone surrogates too


@given(st.text(max_size=60))
@pytest.mark.parametrize("tok", [BPE, SPM], ids=["bpe", "spm"])
def test_decode_is_the_inverse_of_encode(tok, text):
    text = text.replace("▁", "_")  # SentencePiece cannot tell it from a space
    assert tok.decode(tok.encode(text)) == text
    assert tok.decode(tok.encode(text, bos=False, special=False)) == text


@given(ANY_TEXT)
@pytest.mark.parametrize("tok", [BPE, SPM], ids=["bpe", "spm"])
def test_encode_never_raises(tok, text):
    tok.decode(tok.encode(text))


@given(st.text(max_size=60))
def test_stream_gives_whole_characters_and_all_of_them(text):
    stream = BPE.stream()
    chunks = [stream.push(i) for i in BPE.encode(text, bos=False, special=False)]
    assert "".join(chunks) + stream.flush() == text
    assert "\ufffd" in text or not any("\ufffd" in chunk for chunk in chunks)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("tok", [BPE, SPM], ids=["bpe", "spm"])
@pytest.mark.parametrize("char", ["a", "l", "\ufffd", " ", "\n", "1", "<"])
def test_a_megabyte_of_one_letter_is_no_trouble(tok, char):
    text = char * (1_000_000 // len(char.encode()))
    assert tok.decode(tok.encode(text)) == text


def test_merges_apply_in_the_order_of_the_file(bpe):
    tok = bpe()
    assert [tok.text(i) for i in tok.encode("hello world", bos=False)] == [
        "hello", "Ġw", "or", "l", "d"]
    assert [tok.text(i) for i in tok.encode("helll", bos=False)] == ["hell", "l"]


def test_spm_takes_the_best_score_and_falls_back_to_bytes(spm):
    tok = spm()
    assert [tok.text(i) for i in tok.encode("ab c")] == [
        "<s>", "▁a", "b", "▁", "<0x63>"]
    assert [tok.text(i) for i in tok.encode("ab", bos=False)] == ["▁a", "b"]


def test_special_texts_are_tokens_only_where_asked(bpe):
    tok = bpe()
    eos = tok.find("</s>")
    assert tok.encode("a</s>b", bos=False) == [tok.find("a"), eos, tok.find("b")]
    assert eos not in tok.encode("a</s>b", bos=False, special=False)


def test_user_defined_tokens_are_found_without_asking(bpe):
    tok = bpe(user=("<x>", "<x>y"))
    assert tok.encode("<x>yz", bos=False, special=False) == [tok.find("<x>y"), tok.find("z")]


def test_bos_and_eos_follow_the_flags(bpe):
    tok = bpe(add_bos_token=True, add_eos_token=True)
    assert tok.encode("a") == [tok.bos, tok.find("a"), tok.eos]
    assert tok.decode(tok.encode("a")) == "a"
    assert bpe().encode("a") == [tok.find("a")]


def test_gemma4_always_gets_its_bos():
    tokens = ["<bos>", "<eos>", "▁", "a", "▁a"]
    tok = Tokenizer.from_metadata(metadata(
        "gemma4", tokens, merges=Typed(["▁ a"], "str"), add_bos_token=False, bos_token_id=0,
        token_type=kinds(tokens, control=["<bos>", "<eos>"])))
    assert [tok.text(i) for i in tok.encode("a a")] == ["<bos>", "a", "▁a"]


def test_space_prefix_follows_its_flag(spm):
    assert spm().encode("a", bos=False) == [spm().find("▁a")]
    assert spm(add_space_prefix=False).encode("a", bos=False) == [spm().find("a")]
    assert spm().decode(spm().encode("a")) == "a"


def test_text_of_an_end_marker_ends_generation(bpe):
    tok = bpe()
    assert tok.eog == {tok.find("</s>"), tok.find("<|im_end|>")}
    assert tok.eot == tok.find("<|im_end|>")


def test_fill_in_the_middle_is_framed_by_its_tokens(bpe):
    tok = bpe(control=("<s>", "</s>", "<fim_prefix>", "<fim_suffix>"), add_bos_token=True)
    with pytest.raises(ModelError, match="no fim_mid token"):
        tok.infill("a", "b")
    tok = bpe(control=("<s>", "</s>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"), add_bos_token=True)
    assert [tok.text(i) for i in tok.infill("he", "</s>")] == [
        "<s>", "<fim_prefix>", "he", "<fim_suffix>", "<", "/", "s", ">", "<fim_middle>"]


def test_stream_hides_control_tokens_unless_asked(bpe):
    tok = bpe()
    ids = tok.encode("a</s>", bos=False)
    assert "".join(map(tok.stream().push, ids)) == "a"
    assert "".join(map(tok.stream(special=True).push, ids)) == "a</s>"


@pytest.mark.parametrize("bad", [-1, 10**6, 2**31, 2**40])
def test_ids_out_of_range_are_a_model_error(bad):
    for ask in (BPE.piece, BPE.is_control, lambda i: BPE.decode([i])):
        with pytest.raises(ModelError, match=str(bad)):
            ask(bad)


def test_of_equal_texts_the_first_is_encoded_and_both_are_decoded(bpe):
    tok = bpe(words=("he", "he", "ll"), merges=("h e",))
    first = 256
    assert tok.encode("he", bos=False) == [first]
    assert tok.decode([first, first + 1]) == "hehe"


def test_special_id_outside_of_the_vocabulary_is_dropped_with_a_warning():
    with pytest.warns(UserWarning, match="padding_token_id is 5000"):
        tok = Tokenizer.from_metadata(bpe_metadata(padding_token_id=5000))
    assert tok.pad is None


def test_unknown_pre_is_a_warning_that_names_it():
    with pytest.warns(UserWarning, match="'nosuch'"):
        tok = Tokenizer.from_metadata(bpe_metadata(pre="nosuch"))
    assert tok.decode(tok.encode("hello 123")) == "hello 123"
    with pytest.raises(ModelError, match="'nosuch'"):
        Tokenizer.from_metadata(bpe_metadata(pre="nosuch"), strict=True)


@pytest.mark.parametrize(("keys", "message"), [
    ({"merges": Typed(["a a", "aa aa", "aaaa aaaa", "aaaaaaaa aaaaaaaa"], "str")}, "merges"),
    ({"merges": Typed([1, 2], "u32")}, "merges"),
    ({"token_type": Typed([1, 1], "i32")}, "token_type has 2 entries"),
    ({"add_bos_token": 1}, "add_bos_token"),
    ({"bos_token_id": "<s>"}, "bos_token_id"),
])
def test_impossible_byte_pair_vocabulary_is_a_model_error(keys, message):
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_metadata(bpe_metadata(**keys))


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ModelError, match="scores"):
        Tokenizer.from_metadata(spm_metadata([("a", float("nan"))]))


def test_vocabulary_of_an_unknown_kind_still_decodes():
    tokens = ["▁hi", "x"]
    tok = Tokenizer.from_metadata(metadata("nosuch", tokens, token_type=kinds(tokens)))
    assert tok.decode([0, 1]) == " hix"
    with pytest.raises(ModelError, match="'nosuch'"):
        tok.encode("hi")


def test_no_vocabulary_counts_ids():
    from llama_gguf.gguf.metadata import Metadata

    tok = Tokenizer.from_metadata(Metadata.of({
        "general.architecture": "llama", "tokenizer.ggml.model": "none", "llama.vocab_size": 7}))
    assert (len(tok), tok.piece(6), tok.bos) == (7, b"", None)


def test_unigram_takes_the_best_sum_of_scores():
    tokens = ["<pad>", "</s>", "<unk>", "▁a", "b", "ab", "▁", "▁ab"]
    scores = [0.0, 0.0, 0.0, -1.0, -1.5, -2.0, -3.0, -2.6]
    tok = Tokenizer.from_metadata(metadata(
        "t5", tokens, scores=Typed(scores, "f32"), add_space_prefix=True,
        token_type=kinds(tokens, control=["<pad>", "</s>"], unknown=["<unk>"])))
    assert [tok.text(i) for i in tok.encode("ab")] == ["▁a", "b", "</s>"]
    assert [tok.text(i) for i in tok.encode("a??b", bos=False)] == ["▁a", "<unk>", "b"]


@pytest.mark.parametrize("blob", [
    b"", b"\x04\0\0\0", b"\x00\x04\0\0" + b"\xff" * 1024 + b"x\0", b"\x00\0\0\0x"])
def test_broken_charsmap_is_a_model_error(blob):
    tokens = ["<pad>", "</s>", "<unk>", "a"]
    with pytest.raises(ModelError, match="precompiled_charsmap"):
        Tokenizer.from_metadata(metadata(
            "t5", tokens, precompiled_charsmap=Typed(list(blob), "u8")))


def test_rwkv_takes_the_longest_token():
    tokens = ["<s>", "a", "ab", "abc", "b", "c", "\\n", "\\xe4\\xb8\\xad", "\\\\"]
    tok = Tokenizer.from_metadata(metadata("rwkv", tokens))
    assert tok.encode("ababcc\n中\\") == [2, 3, 5, 6, 7, 8]
    assert tok.decode([2, 3, 5, 6, 7, 8]) == "ababcc\n中\\"


@pytest.mark.parametrize(("text", "raw"), [
    (b"a", b"a"), (b"\\t\\n\\r\\x41", b"\t\n\rA"), (b"\\\\", b"\\"), (b"\\x4", b""), (b"\\", b"")])
def test_rwkv_escapes(text, raw):
    assert unescaped(text) == raw


def test_phi3_specials_swallow_the_space_after_them(spm):
    pieces = [("▁a", -1.0), ("▁", -2.0), ("a", -3.0)]
    data = spm_metadata(pieces)
    named = type(data).of(data.typed() | {"general.name": "Phi-3 mini"})
    tok = Tokenizer.from_metadata(named)
    assert tok.encode("</s>  a", bos=False) == [tok.find("</s>"), tok.find("▁a")]


@pytest.mark.parametrize("stage", ["tokenizer"])
def test_corpus_of_odd_vocabularies_ends_as_its_index_says(badgguf, stage):
    index = json.loads((badgguf / "index.json").read_text())
    # These two are for the model to refuse: it knows the weights, and what a user asked for.
    elsewhere = {"tok_pre_unknown.gguf", "tok_tokens_fewer_than_embd.gguf"}
    for name, row in index.items():
        if row["stage"] != stage or name in elsewhere:
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                with GGUFFile(badgguf / name) as file:
                    tok = Tokenizer.from_metadata(file.metadata)
                    tok.decode(tok.encode("Hello wörld \U0001f999 \ud800 <s>"))
                outcome = "warning" if caught else "ok"
            except LlamaGGUFError:
                outcome = "error"
        allowed = {"ok"} if row["expect"] == "ok" else (
            {"error", "warning"} if row.get("strict") else {"error"})
        assert outcome in allowed, name


def test_a_file_with_an_unknown_pre_is_refused_only_where_strictness_is_asked_for(badgguf):
    """It can be looked into and mended; see docs/tokenizers.md."""
    with GGUFFile(badgguf / "tok_pre_unknown.gguf") as file:
        with pytest.warns(UserWarning, match="'nosuch'"):
            Tokenizer.from_metadata(file.metadata)
        with pytest.raises(ModelError, match="'nosuch'"):
            Tokenizer.from_metadata(file.metadata, strict=True)
