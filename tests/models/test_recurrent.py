"""Recurrent models with experts: llama.cpp's logits of random files; and what such files may not leave open."""

from pathlib import Path

import numpy as np
import pytest

from llama_gguf import Model, ModelError
from llama_gguf.gguf import GGUFFile, write_gguf
from llama_gguf.reference import Reference

from .goldens import exact, golden, nmse, path
from .random_models import MIXTURES, TOKENS

GOLDENS = Path(__file__).parents[1] / "data" / "goldens" / "recurrent_mixtures.npz"
SAME, OUTSIDE = 1e-10, 1e-12


@pytest.mark.parametrize("name", MIXTURES)
def test_logits_equal_those_of_llama_cpp(isa, name, tmp_path):
    MIXTURES[name](tmp_path / "t.gguf")
    want = np.load(GOLDENS)[name]
    with Model(tmp_path / "t.gguf", exact=True, n_threads=2) as model:
        found = model.logits(TOKENS)
        assert nmse(found, want) <= OUTSIDE
        assert nmse(found, Reference(model).logits(TOKENS)) <= OUTSIDE
        session = model.session()
        assert nmse(np.concatenate([session.forward([i]) for i in TOKENS]), found) <= SAME
        with model.trace(TOKENS) as t:
            assert nmse(t.logits, found) <= SAME


def changed(name, to, keys=None, tensors=None):
    """A golden with other keys or tensors; None takes one away."""
    file = GGUFFile(path(name))
    arch = file.metadata.arch
    found = file.metadata.typed() | {f"{arch}.{k}": v for k, v in (keys or {}).items()}
    made = {n: (t.type.name, t.shape, t.raw) for n, t in file.tensors.items()}
    made |= {n: x if x is None else ("F32", x.shape, x) for n, x in (tensors or {}).items()}
    write_gguf(
        to,
        {k: v for k, v in found.items() if v is not None},
        [(n, *x) for n, x in made.items() if x is not None],
        force=True,
    )
    return to


@pytest.mark.parametrize(("name", "keys", "tensors", "says"), [
    ("mamba", {"ssm.conv_kernel": None}, {}, "ssm.conv_kernel"),
    ("mamba", {"ssm.conv_kernel": 3}, {}, "ssm_conv1d"),
    ("mamba", {"ssm.state_size": 8}, {}, "ssm"),
    ("mamba", {"ssm.inner_size": 0}, {}, "ssm.inner_size"),
    ("mamba", {}, {"blk.0.ssm_a": None}, "blk.0.ssm_a"),
    ("mamba", {}, {"blk.1.ssm_d": np.ones(127, np.float32)}, "blk.1.ssm_d has shape"),
    ("mamba2", {"ssm.group_count": 3}, {}, "ssm"),
    ("mamba2", {}, {"blk.0.ssm_dt.bias": np.ones(5, np.float32)}, "blk.0.ssm_dt.bias has shape"),
    ("mamba2", {}, {"blk.0.ssm_norm.weight": np.ones((4, 32), np.float32)}, "blk.0.ssm_norm.weight has shape"),
    ("qwen35", {"ssm.time_step_rank": 5}, {}, "ssm"),
    ("qwen35", {}, {"blk.0.ssm_beta.weight": None}, "blk.0.ssm_beta.weight is missing"),
    ("lfm2", {"attention.head_count_kv": 0}, {}, "blk.2.shortconv.in_proj.weight is missing"),
    ("lfm2", {"attention.head_count": 0}, {}, "head_count"),
    ("jamba", {"attention.head_count_kv": None}, {}, "attn_q"),
])
def test_what_does_not_fit_is_refused_by_name(name, keys, tensors, says, tmp_path):
    with pytest.raises(ModelError, match=says):
        Model(changed(name, tmp_path / "t.gguf", keys, tensors)).close()


@pytest.mark.parametrize(("name", "key", "array"), [("llama", "attention.head_count_kv", False), ("lfm2", "x", True)])
def test_one_number_or_one_a_layer_means_the_same(name, key, array, tmp_path):
    """Layers may have heads and widths of their own."""
    with exact(name) as model:
        h, ids = model.h, golden(name)[0][:10]
        assert [h.layer(i).kv_heads for i in range(h.layers)] == ([0, 0, 2, 0] if array else [h.kv_heads] * h.layers)
        if not array:
            again = changed(name, tmp_path / "t.gguf", {key: [h.kv_heads] * h.layers})
            with Model(again, exact=True, n_threads=1) as other:
                np.testing.assert_array_equal(other.logits(ids), model.logits(ids))
