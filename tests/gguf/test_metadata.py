"""Metadata: lazy arrays, and getters that name key, value and domain."""

import importlib.util
import sys

import pytest

from llama_gguf.errors import ModelError
from llama_gguf.gguf import LazyArray, Metadata, Typed, strings

ODD = b"\xff half \xe2\x82".decode("utf-8", "surrogateescape")
TEXTS = ["", "a", "größer", "日本", "\0", ODD]


@pytest.fixture
def metadata():
    return Metadata.of(
        {
            "general.architecture": "llama",
            "llama.block_count": Typed(30, "u64"),
            "llama.rope.freq_base": 10000.0,
            "llama.eps": Typed(1e-5, "f64"),
            "llama.nan": float("nan"),
            "llama.heads": [4, 4, 8],
            "flag": True,
            "tokens": TEXTS,
            "scores": Typed([0.5, -1.0], "f32"),
            "flags": [True, False],
            "odd": ODD,
        },
        path="x.gguf",
    )


def test_values_come_back_as_python(metadata):
    assert metadata["llama.block_count"] == 30
    assert metadata["flag"] is True
    assert metadata["odd"] == ODD
    assert metadata["tokens"].tolist() == TEXTS
    assert metadata["flags"] == [True, False]
    assert len(metadata) == 11 and "flag" in metadata and "nothing" not in metadata


def test_kinds_are_kept(metadata):
    assert metadata.kind("llama.block_count") == "u64"
    assert metadata.kind("tokens") == "array"
    assert metadata["scores"].kind == "f32"
    again = Metadata.of(metadata)
    assert {k: again.kind(k) for k in again} == {k: metadata.kind(k) for k in metadata}
    assert all(again[k] == metadata[k] for k in again if k != "llama.nan")


def test_a_leading_dot_stands_for_the_architecture(metadata):
    assert metadata.arch == "llama"
    assert metadata.int(".block_count") == 30
    assert metadata.float(".eps", above=0, below=1) == 1e-5
    assert metadata.ints(".heads", 3) == [4, 4, 8]
    assert metadata.ints(".block_count", 2) == [30, 30]
    assert metadata.ints(".other", 2, default=1) == [1, 1]


def test_defaults_come_back_unchecked(metadata):
    assert metadata.int("none", None, lo=1) is None
    assert metadata.float("none", 0.0, above=1) == 0.0
    assert metadata.str("none", "x", choices={"y"}) == "x"
    assert metadata.bool("none", False) is False
    assert metadata.array("none", "str", ()) == ()


def test_a_value_that_equals_the_default_is_checked_all_the_same(metadata):
    with pytest.raises(ModelError, match="at least 40"):
        metadata.int(".block_count", default=30, lo=40)


def test_a_hostile_key_cannot_break_the_line():
    with pytest.raises(ModelError) as caught:
        Metadata.of({"general.architecture": "a\n\x1b[2J"}).int(".block_count")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda m: m.int("none"), "none is missing"),
        (lambda m: m.int(".none"), "llama.none is missing"),
        (lambda m: m.int("flag"), "must be an integer, but it is the bool True"),
        (lambda m: m.int("tokens"), "an array of 6 str"),
        (lambda m: m.int(".block_count", hi=8), "is 30; it must be at most 8"),
        (lambda m: m.int(".block_count", lo=40, hi=80), "at least 40 and at most 80"),
        (lambda m: m.float(".block_count"), "must be a float, but it is the u64 30"),
        (lambda m: m.float(".nan"), "must be finite"),
        (lambda m: m.float(".rope.freq_base", below=1), "must be below 1"),
        (lambda m: m.str("flag"), "must be a string"),
        (lambda m: m.str("general.architecture", choices={"b", "a"}), "'llama'; known are a, b"),
        (lambda m: m.bool("odd"), "must be true or false"),
        (lambda m: m.array("tokens", "int"), "must be an array of int"),
        (lambda m: m.array("scores", "f64"), "array of 2 f32"),
        (lambda m: m.array("flag", "str"), "the bool True"),
        (lambda m: m.ints(".heads", 4), "3 elements, but there are 4 layers"),
        (lambda m: m.ints(".heads", 3, hi=7), "is 8; it must be at most 7"),
    ],
)
def test_getters_refuse_by_key_and_value(metadata, call, words):
    with pytest.raises(ModelError, match=words) as caught:
        call(metadata)
    assert caught.value.path == "x.gguf"
    assert caught.value.key in str(caught.value)


@pytest.mark.parametrize("arch", ["", 7])
def test_an_architecture_that_is_none_is_refused(arch):
    with pytest.raises(ModelError, match=r"general\.architecture"):
        Metadata.of({"general.architecture": arch}).int(".block_count")


def test_an_array_is_a_sequence(metadata):
    tokens = metadata["tokens"]
    assert tokens[2] == "größer" and tokens[-1] == ODD and tokens[1:3] == ["a", "größer"]
    assert list(tokens) == TEXTS and "日本" in tokens
    assert metadata["scores"][1] == -1.0 and metadata["flags"][0] is True
    with pytest.raises(IndexError):
        tokens[6]


def test_strings_keep_their_bytes(metadata):
    assert metadata["tokens"].bytes_list()[-1] == b"\xff half \xe2\x82"
    with pytest.raises(TypeError, match="no strings"):
        metadata["scores"].bytes_list()


@pytest.mark.parametrize(
    "kind, dtype",
    [
        ("u8", "uint8"), ("u16", "uint16"), ("u32", "uint32"), ("u64", "uint64"),
        ("i8", "int8"), ("i16", "int16"), ("i32", "int32"), ("i64", "int64"),
        ("f32", "float32"), ("f64", "float64"), ("bool", "bool"),
    ],
)
def test_arrays_become_numpy_of_their_kind(kind, dtype):
    array = Metadata.of({"k": Typed([0, 1, 1], kind)})["k"]
    out = array.numpy()
    assert out.tolist() == array.tolist() == [0, 1, 1]
    assert out.dtype == dtype and out.flags.writeable


def test_text_arrays_become_numpy_objects(metadata):
    assert metadata["tokens"].numpy().tolist() == TEXTS


@pytest.fixture(params=["compiled", "python"])
def walkers(request, monkeypatch):
    """The string walkers in use, and their Python twins."""
    if request.param == "compiled":
        pytest.importorskip("llama_gguf.engine.walk")
        return strings
    monkeypatch.setattr(sys, "byteorder", "big")  # as on a machine that has no compiled walk
    spec = importlib.util.spec_from_file_location("python_strings", strings.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.skip is not strings.skip
    return module


def test_walkers_find_every_string(walkers):
    raw = [text.encode("utf-8", "surrogateescape") for text in TEXTS]
    buf = b"xy" + b"".join(len(r).to_bytes(8, "little") + r for r in raw) + b"end"
    assert walkers.skip(buf, 2, len(raw)) == len(buf) - 3
    assert walkers.raws(buf, 2, len(raw)) == raw
    assert walkers.texts(buf, 2, len(raw)) == TEXTS
    assert list(walkers.starts(buf, 2, 3)) == [2, 10, 19]


@pytest.mark.parametrize("length", [6, 2**32, 2**63, 2**64 - 8])
def test_walkers_never_leave_the_buffer(walkers, length):
    buf = bytes(8) + length.to_bytes(8, "little") + b"short"
    assert walkers.skip(buf, 0, 2) == -2
    for walk in (walkers.starts, walkers.texts, walkers.raws):
        with pytest.raises(ValueError, match="runs past the end"):
            walk(buf, 0, 2)
    assert walkers.skip(buf, 0, 1) == 8
    assert walkers.skip(bytes(7), 0, 1) == -1


def test_arrays_compare_by_kind_and_value():
    def array(values, kind):
        return Metadata.of({"k": Typed(values, kind)})["k"]

    assert isinstance(array([1], "u8"), LazyArray)
    assert array([1], "u8") == array([1], "u8") != array([1], "u16")
    assert array([1], "u8") != "1"
