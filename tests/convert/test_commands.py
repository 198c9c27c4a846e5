"""llama-gguf convert and export, as typed."""

import json

import pytest
from click.testing import CliRunner

from llama_gguf import Model
from llama_gguf.cli import cli

from .folders import LLAMA, folder, golden, llama


def run(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=True)


def test_a_folder_becomes_a_model_that_runs(tmp_path):
    path = folder(tmp_path / "m", LLAMA, llama(), tokenizer_config={"bos_token": "<s>", "eos_token": "</s>"})
    done = run("convert", path, "-o", tmp_path / "m.gguf", "--type", "f32")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(tmp_path / "m.gguf")
    with Model(tmp_path / "m.gguf") as model:
        assert len(model.logits("ab")) >= 2


def test_json_tells_what_was_made(tmp_path):
    path = folder(tmp_path / "m", LLAMA, llama())
    done = run("convert", path, "-o", tmp_path, "--json", "--name", "A B")
    made = json.loads(done.stdout)
    assert (made["architecture"], made["type"], made["tokens"]) == ("llama", "F16", 263)
    assert made["path"] == str(tmp_path / "A-B-F16.gguf")
    assert (tmp_path / "A-B-F16.gguf").stat().st_size == made["size_bytes"]


def test_a_recipe_in_one_step(tmp_path):
    path = folder(tmp_path / "m", LLAMA, llama())
    done = run("convert", path, "-o", tmp_path / "m.gguf", "--type", "Q5_0")
    assert done.exit_code == 0, done.output
    with Model(tmp_path / "m.gguf") as model:
        assert model.tensors["blk.0.ffn_down.weight"].type.name == "Q5_0"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "m.gguf"]


def test_a_dry_run_writes_nothing(tmp_path):
    path = folder(tmp_path / "m", LLAMA, llama())
    done = run("convert", path, "-o", tmp_path / "m.gguf", "--dry-run")
    assert done.exit_code == 0 and "llama" in done.stdout
    assert not (tmp_path / "m.gguf").exists()


def test_replacing_needs_force(tmp_path):
    path = folder(tmp_path / "m", LLAMA, llama())
    (tmp_path / "m.gguf").write_text("mine")
    done = run("convert", path, "-o", tmp_path / "m.gguf")
    assert done.exit_code == 1 and "--force" in done.stderr
    assert run("convert", path, "-o", tmp_path / "m.gguf", "--force").exit_code == 0


@pytest.mark.parametrize(("arguments", "code"), [(("--type", "Q9_9"), 2), (("--pre", "nobody"), 1)])
def test_wrong_words_are_refused(arguments, code, tmp_path):
    export_folder = tmp_path / "m"
    run("export", golden("qwen2"), "-o", export_folder)
    done = run("convert", export_folder, "-o", tmp_path / "m.gguf", *arguments)
    assert done.exit_code == code and arguments[1] in done.stderr
    assert not (tmp_path / "m.gguf").exists()


def test_export_in_shards_and_merge(tmp_path):
    done = run("export", golden("qwen2"), "-o", tmp_path / "many", "--shard-size", "0.0001", "--json")
    assert done.exit_code == 0, done.output
    assert sum(name.endswith(".safetensors") for name in json.loads(done.stdout)["files"]) > 2
    assert run("export", golden("qwen2"), "-o", tmp_path / "many").exit_code == 1
    (tmp_path / "file").touch()
    refused = run("export", golden("qwen2"), "-o", tmp_path / "file" / "folder")
    assert refused.exit_code == 1 and f"{tmp_path / 'file' / 'folder'}: " in refused.stderr
    assert run("export", tmp_path / "many", "-o", tmp_path / "one").exit_code == 0
    run("convert", tmp_path / "many", "-o", tmp_path / "a.gguf", "--name", "x")
    run("convert", tmp_path / "one", "-o", tmp_path / "b.gguf", "--name", "x")
    with Model(tmp_path / "a.gguf") as a, Model(tmp_path / "b.gguf") as b:
        assert {n: bytes(t.raw) for n, t in a.tensors.items()} == {n: bytes(t.raw) for n, t in b.tensors.items()}
