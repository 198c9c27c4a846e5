"""Split files: opened by the first, and only when all of them fit together."""

import shutil

import pytest

from llama_gguf.errors import FormatError
from llama_gguf.gguf import GGUFFile, Typed, write_gguf
from llama_gguf.gguf.shards import parse_name, shard_name

DATA = bytes(range(128))


def split(folder, n=3, changes=None):
    """Write `n` shards of one tensor each; `changes`: index -> other values of its split keys."""
    for i in range(n):
        keys = {"no": Typed(i, "u16"), "count": Typed(n, "u16"), "tensors.count": Typed(n, "i32")}
        keys |= (changes or {}).get(i, {})
        metadata = {f"split.{key}": value for key, value in keys.items() if value is not None}
        write_gguf(folder / shard_name("m", i, n), metadata, [(f"w{i}", "F32", (32,), DATA)])
    return folder / shard_name("m", 0, n)


def test_names_count_from_one():
    assert shard_name("m", 0, 12) == "m-00001-of-00012.gguf"
    assert parse_name("/a/m-00001-of-00012.gguf") == ("m", 0, 12)
    assert parse_name("m-1-of-2.gguf") is None


def test_the_first_shard_opens_all(tmp_path):
    with GGUFFile(split(tmp_path)) as file:
        assert list(file.tensors) == ["w0", "w1", "w2"]
        assert [path.name for path in file.paths] == [shard_name("m", i, 3) for i in range(3)]
        assert file.size == sum(path.stat().st_size for path in file.paths)
        assert all(tensor.raw.tobytes() == DATA for tensor in file.tensors.values())


def test_a_relative_name_finds_its_siblings(tmp_path, monkeypatch):
    split(tmp_path)
    monkeypatch.chdir(tmp_path)
    GGUFFile("m-00001-of-00003.gguf").close()


def test_missing_shards_are_named_at_once(tmp_path):
    first = split(tmp_path)
    for i in (1, 2):
        (tmp_path / shard_name("m", i, 3)).unlink()
    with pytest.raises(FormatError, match=r"2 of 3 .*m-00002-of-00003.*m-00003-of-00003"):
        GGUFFile(first)


def test_a_later_shard_points_to_the_first(tmp_path):
    split(tmp_path)
    with pytest.raises(FormatError, match="shard 2 of 3, not the first: open m-00001-of-00003"):
        GGUFFile(tmp_path / shard_name("m", 1, 3))


def test_a_renamed_first_shard_is_refused(tmp_path):
    shutil.move(split(tmp_path), tmp_path / "plain.gguf")
    with pytest.raises(FormatError, match="must end in -00001-of-00003"):
        GGUFFile(tmp_path / "plain.gguf")


@pytest.mark.parametrize(
    "changes, words",
    [
        ({1: {"no": Typed(2, "u16")}}, "says shard 3, but the name says 2"),
        ({1: {"no": None}}, "no must be a u16, but it is missing"),
        ({1: {"no": Typed(1, "u32")}}, "must be a u16, but it is u32"),
        ({2: {"count": Typed(4, "u16")}}, "split.count is 4, but the first shard's is 3"),
        ({0: {"tensors.count": Typed(4, "i32")}}, "announces 4 tensors, but the 3 shards hold 3"),
        ({0: {"count": "3"}}, "count must be a u16, but it is str"),
    ],
)
def test_shards_that_contradict_each_other_are_refused(tmp_path, changes, words):
    with pytest.raises(FormatError, match=words):
        GGUFFile(split(tmp_path, changes=changes))


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    first = split(tmp_path, 2)
    keys = {"split.no": Typed(1, "u16")}
    write_gguf(
        tmp_path / shard_name("m", 1, 2), keys, [("w0", "F32", (32,), DATA)], force=True
    )
    with pytest.raises(FormatError, match="'w0' is also in"):
        GGUFFile(first)


def test_one_of_one_is_a_plain_file(tmp_path):
    path = tmp_path / "plain.gguf"
    write_gguf(path, {"split.no": Typed(0, "u16"), "split.count": Typed(1, "u16")}, [])
    GGUFFile(path).close()
