"""Conversions beside llama.cpp's: its files go to a folder and come back as they were; its folders give its files.

The goldens are files that llama.cpp's converter wrote (b11434). LLAMA_GGUF_ORACLE names a folder of NAME/hf and
NAME/model.gguf to compare all of as well.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import numpy as library

from llama_gguf.convert import convert, export
from llama_gguf.errors import ModelError
from llama_gguf.gguf import GGUFFile

from .folders import GOLDENS, folder, golden, metadata, safetensors, tensors

ROUND = ("arcee", "bloom", "cohere2", "command-r", "deepseek2", "deepseek3", "ernie4_5", "falcon", "gemma", "gemma2",
         "gemma3", "glm4", "gpt-oss", "gpt2", "gptneox", "granite", "granitemoe", "hunyuan-dense", "lfm2", "llama",
         "llama-linear-rope", "llama-spm", "llama3-rope", "mamba", "mistral", "mixtral", "mpt", "nemotron", "olmo",
         "olmo2", "olmoe", "phi2", "phi3", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "seed_oss", "smollm3", "stablelm",
         "starcoder", "starcoder2")
GEMMA = GOLDENS.parent / "gemma_folders.json"
LEFT_OUT_THERE = {"gptneox": {"general.file_type"}, "mpt": {"general.file_type"}}
ORACLE = Path(os.environ.get("LLAMA_GGUF_ORACLE", "/nowhere"))
FOLDERS = sorted(path.parent.name for path in ORACLE.glob("*/hf"))


@pytest.mark.parametrize("name", ROUND)
def test_a_file_of_llama_cpp_comes_back_as_it_was(name, tmp_path):
    exported = export(golden(name), tmp_path / "folder")
    assert exported.notes == []
    convert(tmp_path / "folder", tmp_path / "back.gguf", "F32")
    with GGUFFile(golden(name)) as theirs, GGUFFile(tmp_path / "back.gguf") as ours:
        assert set(ours.tensors) == set(theirs.tensors)
        for tensor in theirs.tensors.values():
            assert ours.tensors[tensor.name].shape == tensor.shape
            assert np.array_equal(ours.tensors[tensor.name].raw, tensor.raw), tensor.name
    back = metadata(tmp_path / "back.gguf")
    for key in LEFT_OUT_THERE.get(name, ()):
        del back[key]
    assert back == metadata(golden(name))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_gives_the_file_of_llama_cpp(name, tmp_path):
    """Bit by bit, but for exp: torch's result is one of the two neighbours of the exact value, ours the nearer one."""
    made = tmp_path / "made.gguf"
    convert(ORACLE / name / "hf", made, "F32")
    ours, theirs = tensors(made), tensors(ORACLE / name / "model.gguf")
    assert list(ours) == list(theirs) or set(ours) == set(theirs)
    for key, values in theirs.items():
        if key.endswith("ssm_a"):
            np.testing.assert_array_max_ulp(ours[key], values, 1)
        else:
            assert np.array_equal(ours[key], values), key
    mine, reference = metadata(made), metadata(ORACLE / name / "model.gguf")
    free = {"tokenizer.ggml.pre"} | LEFT_OUT_THERE.get(name, set())  # the oracle's names were given by hand
    assert {k: v for k, v in mine.items() if k not in free} == {k: v for k, v in reference.items() if k not in free}


def folder_of(name, path):
    """The folder of transformers 5.24 that a golden was made of: its config.json and names, the golden's numbers."""
    told, whole, made = json.loads(GEMMA.read_text("utf-8"))[name], tensors(golden(name)), {}
    for theirs, (ours, index) in told["names"].items():
        made[theirs] = whole[ours] if index is None else whole[ours][index]
    return folder(path, told["config"], made)


@pytest.mark.parametrize("name", ["gemma3n", "gemma4", "gemma4-moe"])
def test_a_folder_of_gemma_gives_the_file_of_llama_cpp(name, tmp_path):
    """Tensors and hyperparameters; and the vocabulary of Gemma 4."""
    assert convert(folder_of(name, tmp_path / "folder"), tmp_path / "made.gguf", "F32").notes == []
    ours, theirs = tensors(tmp_path / "made.gguf"), tensors(golden(name))
    assert ours.keys() == theirs.keys()
    for key, values in theirs.items():
        np.testing.assert_array_equal(ours[key], values, key)
    mine, reference = metadata(tmp_path / "made.gguf"), metadata(golden(name))
    free = {"tokenizer.ggml.pre", "general.name"}
    assert {k: v for k, v in mine.items() if k not in free} == {k: v for k, v in reference.items() if k not in free}


def test_a_table_with_fewer_rows_than_tokens_is_filled_up(tmp_path):
    """As that of Gemma 3n, which has none for pictures and sound."""
    made = folder_of("gemma3n", tmp_path / "folder")
    told = json.loads((made / "config.json").read_text()) | {"vocab_size_per_layer_input": 260}
    (made / "config.json").write_text(json.dumps(told))
    source, table = library.load_file(made / "model.safetensors"), "model.embed_tokens_per_layer.weight"
    source[table] = source[table][:260]
    safetensors(made / "model.safetensors", source)
    convert(made, tmp_path / "made.gguf", "F32")
    found = tensors(tmp_path / "made.gguf")["per_layer_token_embd.weight"]
    np.testing.assert_array_equal(found[:260], tensors(golden("gemma3n"))["per_layer_token_embd.weight"][:260])
    assert len(found) == 263 and not found[260:].any()


def test_factors_that_config_json_leaves_unused_are_ones(tmp_path):
    """transformers then multiplies by none; a file has no way to leave them out."""
    made = folder_of("gemma3n", tmp_path / "folder")
    told = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps(told | {"altup_correct_scale": False}))
    convert(made, tmp_path / "made.gguf", "F32")
    for name, values in tensors(golden("gemma3n")).items():
        factors = np.ones_like(values) if "altup_correct_scale" in name else values
        np.testing.assert_array_equal(tensors(tmp_path / "made.gguf")[name], factors, name)


@pytest.mark.parametrize(("name", "change", "named"), [
    ("gemma3n", {"activation_sparsity_pattern": [0.5]}, "activation_sparsity_pattern"),
    ("gemma4", {"layer_types": ["full_attention"]}, "layer_types"),
])
def test_what_gguf_cannot_say_of_gemma_is_named(name, change, named, tmp_path):
    made = folder_of(name, tmp_path / "folder")
    (made / "config.json").write_text(json.dumps(json.loads((made / "config.json").read_text()) | change))
    with pytest.raises(ModelError, match=named):
        convert(made, tmp_path / "made.gguf", "F32")
