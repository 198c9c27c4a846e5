"""Tensors of an open file: bytes without a copy, values on request."""

import struct

import pytest

from llama_gguf.gguf import GGUFFile, write_gguf

np = pytest.importorskip("numpy")
VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def file(tmp_path):
    tensors = [
        ("cube", "F32", (2, 3, 4), VALUES),
        ("row", "F32", (4,), VALUES[0, 0]),
        ("ints", "I16", (2, 2), np.array([[1, -2], [3, -4]], "<i2")),
        ("bad", "F32", (5,), np.array([np.nan, np.inf, 0, -2, 2], "<f4")),
        ("half", "F16", (2, 2), np.array([[1, 2], [3, 4]], "<f2")),
        ("q8", "Q8_0", (2, 32), (struct.pack("<e", 0.5) + bytes(range(32))) * 2),
    ]
    write_gguf(tmp_path / "t.gguf", {}, tensors)
    with GGUFFile(tmp_path / "t.gguf") as file:
        yield file


def test_shapes_are_in_numpy_order_and_raw_is_rows(file):
    cube = file.tensors["cube"]
    assert cube.shape == (2, 3, 4) and len(cube) == 2 and cube.n_elements == 24
    assert cube.raw.shape == (6, 16) and cube.row_bytes == 16
    assert file.tensors["q8"].raw.shape == (2, 34)


def test_raw_is_a_read_only_view(file):
    raw = file.tensors["row"].raw
    assert not raw.flags.writeable and not raw.flags.owndata
    assert raw.tobytes() == VALUES[0, 0].tobytes()


@pytest.mark.parametrize("rows", [0, 1, -1, slice(1, 2), slice(None, None, -1), [1, 0, 1]])
def test_rows_select_on_the_first_axis(file, rows):
    np.testing.assert_array_equal(file.tensors["cube"].numpy(rows), VALUES[rows])
    np.testing.assert_array_equal(file.tensors["cube"][rows], VALUES[rows])
    np.testing.assert_array_equal(file.tensors["row"][rows], VALUES[0, 0][rows])


def test_further_indices_apply_to_what_the_first_selected(file):
    cube = file.tensors["cube"]
    np.testing.assert_array_equal(cube[1, 2], VALUES[1, 2])
    np.testing.assert_array_equal(cube[:, 1, ::2], VALUES[:, 1, ::2])


def test_values_are_fresh_float32(file):
    out = file.tensors["row"].numpy()
    out += 1
    np.testing.assert_array_equal(file.tensors["row"].numpy(), VALUES[0, 0])
    assert np.asarray(file.tensors["ints"]).dtype == np.float32
    assert file.tensors["ints"].numpy().tolist() == [[1, -2], [3, -4]]
    with pytest.raises(ValueError, match="without a copy"):
        np.array(file.tensors["row"], copy=False)


def test_quantized_values_come_from_the_engine(file):
    pytest.importorskip("llama_gguf.engine.quants")
    assert file.tensors["half"].numpy().tolist() == [[1, 2], [3, 4]]
    assert file.tensors["q8"][1].tolist() == [0.5 * i for i in range(32)]


@pytest.mark.parametrize(
    "name, rows, count",
    [("q8", 1, 1), ("q8", slice(1, 2), 1), ("q8", [1, 0, 1], 3), ("half", -1, 1), ("q8", slice(0), 0)],
)
def test_only_the_rows_asked_for_are_dequantized(file, name, rows, count, monkeypatch):
    quants, seen = pytest.importorskip("llama_gguf.engine.quants"), []
    real = quants.dequantize
    monkeypatch.setattr(quants, "dequantize", lambda raw, *rest: seen.append(len(raw)) or real(raw, *rest))
    part = file.tensors[name][rows]
    assert seen == [count]
    np.testing.assert_array_equal(part, file.tensors[name].numpy()[rows])


def test_an_index_out_of_range_is_an_index_error(file):
    with pytest.raises(IndexError):
        file.tensors["cube"][2]


def test_stats_count_what_is_not_finite(file):
    stats = file.tensors["bad"].stats()
    assert stats.pop("std") == pytest.approx(np.std([0, -2, 2]))
    expected = {"min": -2, "max": 2, "mean": 0, "zeros": 1, "nan": 1, "inf": 1}
    assert expected.items() <= stats.items()


def test_release_keeps_the_values(file):
    tensor = file.tensors["cube"]
    before = tensor.numpy()
    tensor.release()
    np.testing.assert_array_equal(tensor.numpy(), before)


def test_repr_says_type_and_shape(file):
    assert repr(file.tensors["cube"]) == "<Tensor cube F32 (2, 3, 4), 96 bytes>"
