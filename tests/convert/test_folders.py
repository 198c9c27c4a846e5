"""Folders that are hostile, cut off or of another kind: refused before anything is written, by name."""

import json
import os
import struct

import numpy as np
import pytest
import safetensors

from llama_gguf.convert import convert, resplit
from llama_gguf.convert.safetensors import header_of, open_file
from llama_gguf.errors import FormatError, LlamaGGUFError, ModelError

from .folders import LLAMA, folder, llama
from .folders import safetensors as write
from .folders import tensors as values

ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HEADERS = {
    "not JSON": b"{",
    "a list": b"[]",
    "too long": b"{}",
    "unknown dtype": json.dumps({"a": ONE | {"dtype": "F31"}}).encode(),
    "negative size": json.dumps({"a": ONE | {"shape": [-2]}}).encode(),
    "size and bytes differ": json.dumps({"a": ONE | {"shape": [3]}}).encode(),
    "ends reversed": json.dumps({"a": ONE | {"data_offsets": [8, 0]}}).encode(),
    "beyond the file": json.dumps({"a": ONE | {"shape": [4], "data_offsets": [0, 16]}}).encode(),
    "a gap": json.dumps({"a": ONE | {"shape": [1], "data_offsets": [4, 8]}}).encode(),
    "overlap": json.dumps({"a": ONE, "b": ONE}).encode(),
    "bytes of nobody": json.dumps({"a": ONE | {"shape": [1], "data_offsets": [0, 4]}}).encode(),
    "no shape": json.dumps({"a": {"dtype": "F32", "data_offsets": [0, 8]}}).encode(),
}


@pytest.mark.parametrize("name", HEADERS)
def test_what_the_reference_library_refuses_is_refused(name, tmp_path):
    header, path = HEADERS[name], tmp_path / "x.safetensors"
    n = 1 << 40 if name == "too long" else len(header)
    path.write_bytes(struct.pack("<Q", n) + header + bytes(8))
    with pytest.raises(Exception, match="rror"), safetensors.safe_open(path, "np") as file:
        raise RuntimeError(f"error: it was taken with {file.keys()}")
    with pytest.raises(FormatError, match=r"x\.safetensors"):
        open_file(path)


def test_names_that_come_twice_are_refused(tmp_path):
    entry = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}'
    header = b"{" + entry % (0, 4) + b"," + entry % (4, 8) + b"}"
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(FormatError, match="names a tensor twice: a"):
        open_file(tmp_path / "x")


def test_deep_headers_end(tmp_path):
    header = b"[" * 100_000
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(FormatError, match="not JSON"):
        open_file(tmp_path / "x")


def test_the_reference_library_reads_what_we_write(tmp_path):
    made = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(4, np.float16)}
    write(tmp_path / "x", made)
    with safetensors.safe_open(tmp_path / "x", "np") as file:
        assert all(np.array_equal(file.get_tensor(name), x) for name, x in made.items())
    assert header_of([("a", "F32", (1,))])[8:].strip().endswith(b"}")


def sharded(path, names):
    """A Llama whose index gives each tensor one of `names`; the files of the first two names are there."""
    source = llama()
    folder(path, LLAMA, source)
    (path / "model.safetensors").unlink()
    index = {tensor: names[i % len(names)] for i, tensor in enumerate(source)}
    for name in names[:2]:
        if os.path.basename(name) == name and name != "..":
            write(path / name, {tensor: source[tensor] for tensor, shard in index.items() if shard == name})
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return path


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "x.bin", "..",
                                  ".hidden.safetensors", "a\\b.safetensors"])
def test_an_index_names_files_beside_it_only(name, tmp_path):
    with pytest.raises(FormatError, match="no safetensors file beside it"):
        convert(sharded(tmp_path / "m", ["a.safetensors", name]), tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


def test_missing_shards_are_named_at_once(tmp_path):
    names = [f"model-0000{i}-of-00004.safetensors" for i in range(1, 5)]
    with pytest.raises(FormatError, match=r"misses 2 of 4 files: model-00003-of-00004\S+, model-00004-of-00004"):
        convert(sharded(tmp_path / "m", names), tmp_path / "out.gguf")
    (tmp_path / "m/model.safetensors.index.json").unlink()
    with pytest.raises(FormatError, match="misses 2 of 4 files"):
        convert(tmp_path / "m", tmp_path / "out.gguf")


def test_two_shards_are_one_model(tmp_path):
    convert(sharded(tmp_path / "m", ["a.safetensors", "b.safetensors"]), tmp_path / "two.gguf", "F32")
    convert(folder(tmp_path / "n", LLAMA, llama()), tmp_path / "one.gguf", "F32")
    two, one = values(tmp_path / "two.gguf"), values(tmp_path / "one.gguf")
    assert all(np.array_equal(two[name], x) for name, x in one.items())


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    path = sharded(tmp_path / "m", ["a.safetensors", "b.safetensors"])
    write(path / "b.safetensors", llama())
    with pytest.raises(FormatError, match=r"is in a\.safetensors too"):
        convert(path, tmp_path / "out.gguf")


def test_links_do_not_lead_out_of_the_folder(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    path = folder(tmp_path / "m", LLAMA, llama())
    (path / "chat_template.jinja").symlink_to(secret)
    with pytest.raises(FormatError, match="outside of the folder"):
        convert(path, tmp_path / "out.gguf")


def test_the_cache_of_the_hub_is_read_through_its_links(tmp_path):
    revision, blobs = tmp_path / "models--a--b/snapshots/1", tmp_path / "models--a--b/blobs"
    revision.mkdir(parents=True)
    blobs.mkdir()
    for i, file in enumerate(sorted(folder(tmp_path / "m", LLAMA, llama()).iterdir())):
        file.rename(blobs / str(i))
        (revision / file.name).symlink_to(f"../../blobs/{i}")
    convert(revision, tmp_path / "out.gguf")


WRONG = {
    "pickles": (["pytorch_model.bin"], "reading a pickle can run any code"),
    "consolidated": (["consolidated.safetensors"], "Mistral's own format"),
    "gguf": (["x.gguf"], "holds GGUF files already"),
    "nothing": ([], r"has no model\*\.safetensors"),
}


@pytest.mark.parametrize("name", WRONG)
def test_other_weights_are_refused_with_advice(name, tmp_path):
    files, message = WRONG[name]
    path = folder(tmp_path / "m", LLAMA, llama())
    (path / "model.safetensors").unlink()
    for file in files:
        (path / file).write_bytes(b"")
    with pytest.raises(ModelError, match=message):
        convert(path, tmp_path / "out.gguf")


def test_mistral_without_a_config_is_told_about(tmp_path):
    (tmp_path / "params.json").write_text("{}")
    with pytest.raises(ModelError, match=r"Mistral's own format \(params\.json\)"):
        convert(tmp_path, tmp_path / "out.gguf")


def test_code_of_a_folder_is_not_run(tmp_path):
    path = folder(tmp_path / "m", LLAMA | {"auto_map": {"AutoConfig": "evil.Config"}}, llama())
    (path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    convert(path, tmp_path / "out.gguf")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("change", "message"), [
    (lambda t: t.update({"model.layers.0.self_attn.rope_scale": np.ones(1, np.float32)}), "does not have"),
    (lambda t: t.pop("model.layers.0.mlp.up_proj.weight"), "ffn_up.* is missing"),
    (lambda t: t.update({"model.layers.0.self_attn.q_proj.weight": np.ones((60, 64), np.float32)}), "q_proj|attn_q"),
    (lambda t: t.update({"model.layers.0.mlp.down_proj.weight": np.ones((96, 64), np.float32)}), "ffn_down"),
    (lambda t: t.pop("model.embed_tokens.weight"), "no token embeddings"),
    (lambda t: t.update({"model.embed_tokens.weight": np.ones((9, 64), np.float32)}), "only 9 rows"),
])
def test_tensors_that_do_not_fit_are_refused(change, message, tmp_path):
    source = llama()
    change(source)
    with pytest.raises(LlamaGGUFError, match=message):
        convert(folder(tmp_path / "m", LLAMA, source), tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(("file", "value"), [
    ("config", []), ("config", {"architectures": [["x"]]}), ("config", LLAMA | {"num_attention_heads": "4"}),
    ("config", LLAMA | {"rms_norm_eps": "small"}), ("config", LLAMA | {"rope_scaling": {"rope_type": "linear",
                                                                                       "factor": []}}),
    ("tokenizer", {"model": {"type": "BPE", "byte_fallback": True, "vocab": {"a": "b"}, "merges": []}}),
    ("tokenizer", {"model": {"type": "BPE", "byte_fallback": True, "vocab": {"a": 0}, "merges": [["a"]]}}),
    ("tokenizer", {"added_tokens": [{"id": -1}], "model": {"type": "BPE", "byte_fallback": True, "vocab": {"a": 0}}}),
    ("tokenizer_config", {"bos_token": {"content": 7}, "chat_template": 3, "added_tokens_decoder": {"x": 1}}),
    ("generation_config", {"top_k": [1]}),
])
def test_json_of_unexpected_forms_is_one_clear_error_or_none(file, value, tmp_path):
    path = folder(tmp_path / "m", LLAMA, llama())
    (path / f"{file}.json").write_text(json.dumps(value if not isinstance(value, dict) or file != "config"
                                                  else json.loads((path / "config.json").read_text()) | value))
    try:
        convert(path, tmp_path / "out.gguf")
    except LlamaGGUFError as error:
        assert str(tmp_path) in str(error) and "\n" not in str(error)
        assert not (tmp_path / "out.gguf").exists()


def test_what_is_there_is_not_replaced(tmp_path):
    path, out = folder(tmp_path / "m", LLAMA, llama()), tmp_path / "out.gguf"
    out.write_text("mine")
    with pytest.raises(FileExistsError):
        convert(path, out)
    assert out.read_text() == "mine"
    convert(path, out, force=True)
    with pytest.raises(FileExistsError, match="input"):
        convert(path, path / "model.safetensors", force=True)


def test_a_folder_is_split_and_merged(tmp_path):
    path = folder(tmp_path / "m", LLAMA, llama())
    resplit(path, tmp_path / "many", 60_000)
    assert len(list((tmp_path / "many").glob("model-*-of-*.safetensors"))) > 2
    resplit(tmp_path / "many", tmp_path / "one")
    assert (tmp_path / "one/model.safetensors").read_bytes() == (path / "model.safetensors").read_bytes()
    assert (tmp_path / "one/config.json").read_bytes() == (path / "config.json").read_bytes()


def test_a_folder_that_cannot_be_written_keeps_its_weights(tmp_path):
    """A folder stands where a file should: old weights and everything else are as they were."""
    folder(tmp_path / "source", LLAMA, llama())
    out = folder(tmp_path / "out", LLAMA, {"old": np.ones(2, np.float32)})
    (out / "config.json").unlink()
    (out / "config.json").mkdir()
    (out / "model-00001-of-00002.safetensors").write_bytes(b"stale")
    before = {str(path): path.is_dir() or path.read_bytes() for path in out.rglob("*")}
    with pytest.raises(IsADirectoryError):
        resplit(tmp_path / "source", out, force=True)
    assert {str(path): path.is_dir() or path.read_bytes() for path in out.rglob("*")} == before
    (out / "config.json").rmdir()
    resplit(tmp_path / "source", out, force=True)
    assert not (out / "model-00001-of-00002.safetensors").exists()
    assert sorted(os.listdir(out)) == sorted(os.listdir(tmp_path / "source"))


@pytest.mark.skipif(not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat("/tmp").st_dev,
                    reason="one file system only")
def test_a_link_to_another_disk_is_followed(tmp_path):
    import tempfile

    folder(tmp_path / "source", LLAMA, llama())
    with tempfile.TemporaryDirectory(dir="/dev/shm") as disk:
        (tmp_path / "out").symlink_to(disk)
        for _ in range(2):
            resplit(tmp_path / "source", tmp_path / "out", force=True)
            assert sorted(os.listdir(disk)) == sorted(os.listdir(tmp_path / "source"))
    assert sorted(os.listdir(tmp_path)) == ["out", "source"]
