"""Models in shards: cut as llama.cpp's gguf-split cuts them, and joined to the same bytes."""

import hashlib
import json
import os

import pytest
from click.testing import CliRunner

from llama_gguf.cli import cli
from llama_gguf.errors import FormatError, ModelError
from llama_gguf.gguf import GGUFFile, Typed, split, write_gguf

THEIRS = {
    ("--split-max-tensors", 3): ("caee", "9c23", "8aca"),
    ("--no-tensor-first-split --split-max-tensors", 3): ("5ab6", "7c72", "53ba", "9923"),
}
"""First digits of the SHA-256 of each shard of `model` that llama.cpp's gguf-split (b11434) writes."""


@pytest.fixture
def model(tmp_path):
    """Eight tensors of 32 to 256 bytes."""
    path = tmp_path / "model.gguf"
    keys = {
        "general.architecture": "llama",
        "llama.block_count": 7,
        "tokenizer.ggml.tokens": ["a", "é", ""],
        "odd": Typed([-1, 7], "i8"),
    }
    write_gguf(path, keys, [(f"blk.{i}.w", "I8", (2, 16 * (i + 1)), bytes([i]) * 32 * (i + 1)) for i in range(8)])
    return path


def shards(path, tmp_path, name="s", **limits):
    return split.split(path, tmp_path / name, **limits)


def digests(paths):
    return tuple(hashlib.sha256(path.read_bytes()).hexdigest()[:4] for path in paths)


@pytest.mark.parametrize("option, count", THEIRS)
def test_shards_are_those_of_llama_cpp(model, tmp_path, option, count):
    paths = shards(model, tmp_path, max_tensors=count, small_first="no-tensor" in option)
    assert digests(paths) == THEIRS[option, count]


@pytest.mark.parametrize("alignment", [None, 8, 64])
@pytest.mark.parametrize("limits", [{"max_tensors": 1}, {"max_bytes": 700}, {"max_bytes": 450, "small_first": True}])
def test_joined_shards_are_the_file_again(model, tmp_path, limits, alignment):
    if alignment:
        with GGUFFile(model) as file:
            keys, tensors = file.metadata.typed(), [(t.name, t.type, t.shape, t) for t in file.tensors.values()]
            model = tmp_path / "aligned.gguf"
            write_gguf(model, keys | {"general.alignment": alignment}, tensors)
    paths = shards(model, tmp_path, **limits)
    assert len(paths) > 2
    split.merge(paths[0], tmp_path / "whole.gguf")
    assert (tmp_path / "whole.gguf").read_bytes() == model.read_bytes()
    with GGUFFile(paths[0]) as file:  # by their first they open as one
        assert list(file.tensors) == [f"blk.{i}.w" for i in range(8)]
        assert all(t.raw.tobytes() == bytes([i]) * t.n_bytes for i, t in enumerate(file.tensors.values()))
    for path in paths:
        assert "max_bytes" not in limits or path.stat().st_size <= limits["max_bytes"]


def test_split_files_are_cut_anew(model, tmp_path):
    old = shards(model, tmp_path, "old", max_tensors=3)
    assert digests(shards(old[0], tmp_path, "new", max_tensors=2)) == digests(shards(model, tmp_path, max_tensors=2))


def test_gguf_py_reads_our_shards(model, tmp_path):
    gguf = pytest.importorskip("gguf")
    for i, path in enumerate(shards(model, tmp_path, max_tensors=3)):
        reader = gguf.GGUFReader(path)
        assert [t.name for t in reader.tensors] == [f"blk.{n}.w" for n in range(3 * i, min(8, 3 * i + 3))]
        numbers = [reader.fields[f"split.{key}"].contents() for key in ("no", "count", "tensors.count")]
        assert numbers == [i, 3, 8]


def test_shards_of_gguf_py_are_joined(tmp_path):
    gguf, np = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    writer = gguf.GGUFWriter(tmp_path / "theirs.gguf", "llama", split_max_tensors=2)
    writer.add_block_count(5)
    for i in range(5):
        writer.add_tensor(f"w{i}", np.full((2, 32), i, np.float32))
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file()
    writer.close()
    split.merge(tmp_path / "theirs-00001-of-00003.gguf", tmp_path / "whole.gguf")
    reader = gguf.GGUFReader(tmp_path / "whole.gguf")
    assert [(t.name, t.data.mean()) for t in reader.tensors] == [(f"w{i}", i) for i in range(5)]
    assert not [key for key in reader.fields if key.startswith("split.")]


def test_shards_too_small_are_refused_by_name(model, tmp_path):
    with pytest.raises(FormatError, match=r"too small: tensor blk\.0\.w takes 32, .*--small-first"):
        shards(model, tmp_path, max_bytes=200)
    with pytest.raises(FormatError, match=r"too small: tensor blk\.7\.w takes 256, the header before it 106$"):
        shards(model, tmp_path, max_bytes=400)
    with pytest.raises(FormatError, match="too small: the header"):
        shards(model, tmp_path, max_bytes=100, small_first=True)
    with pytest.raises(ValueError, match="one of them"):
        shards(model, tmp_path)
    assert os.listdir(tmp_path) == ["model.gguf"]


def test_what_cannot_be_split_or_joined_is_refused(model, tmp_path):
    write_gguf(tmp_path / "empty.gguf", {"a": "b"}, [])
    with pytest.raises(FormatError, match="no tensors"):
        shards(tmp_path / "empty.gguf", tmp_path, max_tensors=1)
    with pytest.raises(FormatError, match="not split"):
        split.merge(model, tmp_path / "whole.gguf")
    many = [(f"w{i}", "I8", (1,), b"x") for i in range(1000)]
    write_gguf(tmp_path / "many.gguf", {"a": "b"}, many)
    with pytest.raises(FormatError, match="1000 shards; at most 999"):
        shards(tmp_path / "many.gguf", tmp_path, max_tensors=1)


def test_existing_shards_need_force_and_inputs_are_kept(model, tmp_path):
    paths = shards(model, tmp_path, max_tensors=3)
    before = digests(paths)
    with pytest.raises(FileExistsError, match="--force"):
        shards(model, tmp_path, max_tensors=3)
    with pytest.raises(FileExistsError, match="also an input"):
        shards(paths[0], tmp_path, max_tensors=3, force=True)
    with pytest.raises(FileExistsError, match="also an input"):
        split.merge(paths[0], paths[1], force=True)
    assert digests(paths) == before


def test_an_interrupted_split_leaves_nothing(model, tmp_path):
    def stop(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards(model, tmp_path, max_tensors=2, progress=stop)
    assert os.listdir(tmp_path) == ["model.gguf"]


def test_progress_counts_bytes(model, tmp_path):
    told = []
    shards(model, tmp_path, max_tensors=3, progress=lambda *numbers: told.append(numbers))
    assert told[-1] == (1152, 1152) and told == sorted(told) and len(told) == 8


def test_malformed_shards_end_in_one_error_and_no_file(badgguf, tmp_path):
    """The corpus of malformed files: what the index calls an error is one, joined or cut anew."""
    index = json.loads((badgguf / "index.json").read_text())
    for name in [name for name, entry in index.items() if entry["stage"] == "split"]:
        out = tmp_path / f"{name}.merged.gguf"
        for act in (lambda n=name, o=out: split.merge(badgguf / n, o),
                    lambda n=name: split.split(badgguf / n, tmp_path / n, max_tensors=9)):
            if index[name]["expect"] == "ok":
                act()
            else:
                with pytest.raises((FormatError, ModelError)):
                    act()
        assert out.exists() == (index[name]["expect"] == "ok")


def test_the_commands_tell_what_they_wrote(model, tmp_path):
    def run(*line):
        return CliRunner().invoke(cli, [str(word) for word in line])

    rows = json.loads(run("split", model, "-o", tmp_path / "s.gguf", "--max-size", "0.7kB", "--json").stdout)
    assert [row["path"] for row in rows] == [str(tmp_path / f"s-0000{i}-of-00004.gguf") for i in (1, 2, 3, 4)]
    done = run("merge", rows[0]["path"], "-o", tmp_path / "whole.gguf", "--json")
    assert json.loads(done.stdout)["size_bytes"] == model.stat().st_size
    (tmp_path / "s-00002-of-00004.gguf").unlink(), (tmp_path / "s-00003-of-00004.gguf").unlink()
    done = run("merge", rows[0]["path"], "-o", tmp_path / "x.gguf")
    assert done.exit_code == 1
    assert "2 of 4 shards are missing: s-00002-of-00004.gguf, s-00003-of-00004.gguf" in done.stderr
    assert run("split", model, "-o", "x").exit_code == 2
    assert run("split", model, "-o", "x", "--max-size", "2 parsecs").exit_code == 2
