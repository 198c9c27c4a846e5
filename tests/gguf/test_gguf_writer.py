"""The writer is the reader's inverse, and refuses what no reader could read."""

import os
import struct

import pytest

from llama_gguf.gguf import GGUFFile, GGUFWriter, Metadata, Typed, write_gguf
from llama_gguf.gguf.writer import infer

DATA = bytes(range(128))
ONE = ("w", "F32", (4, 8), DATA)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.gguf"


@pytest.mark.parametrize(
    "value, kind",
    [
        (True, "bool"), (3, "u32"), (-3, "i32"), (2**32, "u64"), (-(2**40), "i64"),
        (0.5, "f32"), ("x", "str"), (["a", "b"], "str"), ([1, 2], "u32"), ([1, -2], "i32"),
        ([-1, 2**40], "i64"), ([1, 0.5], "f32"), ([True], "bool"),
    ],
)
def test_plain_values_get_the_usual_kinds(value, kind):
    assert infer(value) == kind
    assert Metadata.of({"k": value})["k"] == value


def test_numpy_arrays_keep_their_dtype():
    np = pytest.importorskip("numpy")
    assert infer(np.zeros(2, np.uint16)) == "u16"
    assert Metadata.of({"k": np.array([True, False])})["k"] == [True, False]
    with pytest.raises(ValueError, match="complex"):
        infer(np.zeros(2, complex))


@pytest.mark.parametrize(
    "value, words",
    [
        ([], "empty array"), ([1, "a"], "no metadata kind"), ([True, 2], "mix"),
        (2**64, "64 bits"), (None, "no metadata kind"), (Typed(300, "u8"), "as u8"),
        (Typed("x", "u8"), "as u8"), (Typed([1, 2**40], "u32"), "as u32"),
        (Typed(1, "str"), "as str"), ({"a": 1}, "no metadata kind"),
    ],
)
def test_values_that_fit_no_kind_are_refused(value, words):
    with pytest.raises(ValueError, match=words):
        Metadata.of({"k": value})


@pytest.mark.parametrize("key", ["", "a\0b", "k" * 65536])
def test_keys_that_no_reader_takes_are_refused(key):
    with pytest.raises(ValueError, match="key"):
        Metadata.of({key: 1})


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(ValueError, match="no metadata kind 'int'"):
        Typed(1, "int")


def test_size_is_known_before_writing(path):
    writer = GGUFWriter(path, {"a": "b"}, [ONE, ("v", "Q8_0", (3, 32), bytes(102))])
    assert not path.exists()
    assert writer.write() == writer.size == path.stat().st_size


@pytest.mark.parametrize("alignment", [8, 32, 4096])
def test_alignment_is_obeyed_with_zeros(path, alignment):
    tensors = [("a", "I8", (3,), b"abc"), ONE]
    write_gguf(path, {"general.alignment": Typed(alignment, "u32")}, tensors)
    raw = path.read_bytes()
    with GGUFFile(path) as file:
        a, w = file.tensors.values()
        assert file.alignment == alignment and a.offset % alignment == w.offset % alignment == 0
        assert raw[a.offset : w.offset] == b"abc".ljust(w.offset - a.offset, b"\0")
        assert len(raw) % alignment == 0


@pytest.mark.parametrize("alignment", [0, 4, 48, Typed(32, "u64")])
def test_an_impossible_alignment_is_refused(path, alignment):
    with pytest.raises(ValueError, match=r"general\.alignment"):
        write_gguf(path, {"general.alignment": alignment}, [])


@pytest.mark.parametrize(
    "data", [DATA, bytearray(DATA), lambda: DATA, lambda: iter([DATA[:5], DATA[5:]]), [DATA]]
)
def test_data_may_come_in_pieces_when_its_turn_has_come(path, data):
    write_gguf(path, {}, [("w", "F32", (32,), data)])
    with GGUFFile(path) as file:
        assert file.tensors["w"].raw.tobytes() == DATA


@pytest.mark.parametrize("data", [b"", DATA[:-1], DATA + b"x", lambda: [DATA, DATA]])
def test_data_of_another_length_leaves_no_file(path, data):
    with pytest.raises(ValueError, match=r"tensor 'w' .* has 128 bytes"):
        write_gguf(path, {}, [("w", "F32", (32,), data)])
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize(
    "tensor, words",
    [
        (("", "F32", (32,), DATA), "1 to 63 bytes"),
        (("n" * 64, "F32", (32,), DATA), "1 to 63 bytes"),
        (("w\0", "F32", (32,), DATA), "no NUL"),
        (("w", "F31", (32,), DATA), "no type 'F31'"),
        (("w", "Q4_0", (16,), DATA), "multiples of 32"),
        (("w", "F32", (), DATA), "dimensions"),
        (("w", "F32", (1, 1, 1, 1, 32), DATA), "dimensions"),
        (("w", "F32", (32, 0), DATA), "dimensions"),
    ],
)
def test_impossible_tensors_are_refused(path, tensor, words):
    with pytest.raises(ValueError, match=words):
        write_gguf(path, {}, [tensor])


def test_two_tensors_of_one_name_are_refused(path):
    with pytest.raises(ValueError, match="one name"):
        write_gguf(path, {}, [ONE, ONE])


def test_an_open_file_is_copied_exactly(path, tmp_path):
    metadata = {"a": Typed(1, "i16"), "t": ["x", "\udcff"], "e": Typed([], "f64"), "f": 0.1}
    write_gguf(path, metadata, [ONE])
    with GGUFFile(path) as file:
        tensors = [(t.name, t.type, t.shape, t) for t in file.tensors.values()]
        write_gguf(tmp_path / "copy.gguf", file.metadata, tensors)
    assert (tmp_path / "copy.gguf").read_bytes() == path.read_bytes()


def test_an_output_that_is_an_input_is_refused_even_by_force(path, tmp_path):
    write_gguf(path, {}, [ONE])
    (tmp_path / "link.gguf").symlink_to(path)
    with GGUFFile(path) as file:
        tensors = [(t.name, t.type, t.shape, t) for t in file.tensors.values()]
        for output in (path, tmp_path / "link.gguf"):
            with pytest.raises(FileExistsError, match="also an input"):
                write_gguf(output, {}, tensors, force=True)
            with pytest.raises(FileExistsError, match="also an input"):
                write_gguf(output, file.metadata, [], force=True)


def test_gguf_py_reads_what_we_write(path):
    reader = pytest.importorskip("gguf.gguf_reader")
    metadata = {"general.architecture": "llama", "n": 5, "words": ["a", "größer"], "x": [0.5, 2.0]}
    write_gguf(path, metadata, [ONE, ("q", "Q4_0", (2, 64), bytes(72))])
    file = reader.GGUFReader(path)
    assert {k: file.get_field(k).contents() for k in metadata} == metadata
    assert [(t.name, t.tensor_type.name, t.shape.tolist()) for t in file.tensors] == [
        ("w", "F32", [8, 4]), ("q", "Q4_0", [64, 2])]
    assert file.tensors[0].data.tobytes() == DATA


def test_we_read_what_gguf_py_writes(path):
    np, gguf = pytest.importorskip("numpy"), pytest.importorskip("gguf.gguf_writer")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint64("wide", 7)
    writer.add_array("texts", ["a", "b"])
    writer.add_tensor("w", np.frombuffer(DATA, np.float32).reshape(4, 8))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with GGUFFile(path) as file:
        assert file.metadata.arch == "llama" and file.metadata["texts"] == ["a", "b"]
        assert file.metadata.kind("wide") == "u64"
        assert file.tensors["w"].shape == (4, 8) and file.tensors["w"].raw.tobytes() == DATA


def test_the_header_is_the_documented_one(path):
    write_gguf(path, {"a": 5}, [("w", "I8", (2, 1), b"xy")])
    entry = struct.pack("<Q1sII", 1, b"a", 4, 5)
    row = struct.pack("<Q1sIQQIQ", 1, b"w", 2, 1, 2, 24, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + entry + row
    assert path.read_bytes() == head.ljust(96, b"\0") + b"xy".ljust(32, b"\0")
