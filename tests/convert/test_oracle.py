"""Conversions beside llama.cpp's: its files go to a folder and come back as they were; its folders give its files.

The goldens are files that llama.cpp's converter wrote (b11434). LLAMA_GGUF_ORACLE names a folder of NAME/hf and
NAME/model.gguf to compare all of as well.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from llama_gguf.convert import convert, export
from llama_gguf.gguf import GGUFFile

from .folders import golden, metadata, tensors

ROUND = ("arcee", "bloom", "cohere2", "command-r", "deepseek2", "deepseek3", "ernie4_5", "falcon", "gemma", "gemma2",
         "gemma3", "glm4", "gpt-oss", "gpt2", "gptneox", "granite", "granitemoe", "hunyuan-dense", "lfm2", "llama",
         "llama-linear-rope", "llama-spm", "llama3-rope", "mamba", "mistral", "mixtral", "mpt", "nemotron", "olmo",
         "olmo2", "olmoe", "phi2", "phi3", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "seed_oss", "smollm3", "stablelm",
         "starcoder", "starcoder2")
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
