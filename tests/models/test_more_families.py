"""Families whose files are made when a test runs: as llama.cpp reads them, and the same however they are run."""

from dataclasses import replace

import numpy as np
import pytest

from llama_gguf import Model, ModelError
from llama_gguf.reference import Reference
from llama_gguf.testing import tiny

from . import sparse_mixer
from .goldens import nmse
from .more_families import CASES, IDS, LOGITS, ROWS, n_ctx, write
from .test_models import OUTSIDE, SAME, TABLE

GELU = ("codeshell",)


@pytest.mark.parametrize("name", CASES)
def test_logits_equal_those_of_llama_cpp(isa, name, tmp_path):
    with Model(write(name, tmp_path / "t.gguf"), exact=True, n_threads=1, n_ctx=n_ctx(name)) as model:
        found = model.logits(IDS)
        assert nmse(found[ROWS], np.load(LOGITS)[name]) <= (TABLE if name in GELU else OUTSIDE)
        assert nmse(found, Reference(model).logits(IDS)) <= SAME
        session = model.session()
        assert nmse(np.concatenate([session.forward([i]) for i in IDS]), found) <= SAME
        with model.trace(IDS) as t:
            assert nmse(t.logits, found) <= SAME


def test_phi_3_5_moe_gives_what_transformers_gives(isa, tmp_path):
    """Some weights are shares among experts that are nearly as good; as softmax they would be others."""
    ids, want = sparse_mixer.IDS, np.load(sparse_mixer.LOGITS)["transformers"]
    with Model(sparse_mixer.write(tmp_path / "p.gguf"), exact=True, n_threads=1) as model:
        found, ref, session = model.logits(ids), Reference(model), model.session()
        assert nmse(ref.logits(ids), want) <= OUTSIDE and nmse(found, want) <= OUTSIDE
        assert nmse(np.concatenate([session.forward([i]) for i in ids]), found) <= SAME
        with model.trace(ids) as t:
            weights = t["blk.0.ffn_moe_weights"]
            assert nmse(weights, ref["blk.0.ffn_moe_weights"]) <= SAME
        assert weights.min() < 0.6 and (weights == 1).any()
        model.h.routing = replace(model.h.routing, gating="softmax", norm=True)
        assert nmse(Reference(model).logits(ids), want) > 1e-2


@pytest.mark.parametrize("name", ["afmoe", "bitnet", "deci", "qwen3next", "smallthinker"])
def test_threads_do_not_change_a_bit(isa, name, tmp_path):
    file, found = write(name, tmp_path / "t.gguf"), []
    for n in (1, 3):
        with Model(file, n_threads=n) as model:
            session = model.session()
            found.append([model.logits(IDS), *(session.forward([i]) for i in IDS[:20])])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_old_files_of_qwen3next_have_queries_keys_values_and_gates_in_one_matrix(isa, tmp_path):
    """Head by head of keys; the same numbers in the newer order give the same logits."""
    with Model(tiny(tmp_path / "new.gguf", "qwen3next"), exact=True) as model:
        want, h, tensors = model.logits(IDS), model.h, {}
        for i, recurrent in enumerate(h.is_recurrent):
            if recurrent:
                mixed, gate = (model.tensors[f"blk.{i}.attn_{n}.weight"].numpy() for n in ("qkv", "gate"))
                keys = h.groups * h.state
                parts = mixed[:keys], mixed[keys : 2 * keys], mixed[2 * keys :], gate
                heads = [part.reshape(h.groups, -1, h.width) for part in parts]
                tensors |= {f"blk.{i}.attn_{n}.weight": None for n in ("qkv", "gate")}
                tensors[f"blk.{i}.ssm_in.weight"] = np.concatenate(heads, 1).reshape(-1, h.width)
    with Model(tiny(tmp_path / "old.gguf", "qwen3next", tensors=tensors), exact=True) as model:
        assert nmse(model.logits(IDS), want) <= SAME


@pytest.mark.parametrize(("arch", "keys", "named"), [
    ("dbrx", {".attention.clamp_kqv": None}, "dbrx.attention.clamp_kqv"),
    ("minicpm3", {".attention.kv_lora_rank": None}, "minicpm3.attention.kv_lora_rank"),
    ("plm", {".attention.key_length": 8}, "plm.attention.key_length"),
    ("qwen2vl", {".rope.dimension_sections": [2, 2, 2, 2]}, "qwen2vl.rope.dimension_sections"),
    ("qwen3next", {".ssm.time_step_rank": 6}, "blk.0.ssm_out.weight"),
    ("deci", {".attention.head_count": [4, 4, 0]}, "deci.attention.head_count"),
])
def test_what_does_not_fit_is_named(arch, keys, named, tmp_path):
    with pytest.raises(ModelError) as error:
        Model(tiny(tmp_path / "t.gguf", arch, metadata={arch + k: v for k, v in keys.items()})).close()
    assert named in (error.value.key, error.value.tensor), str(error.value)
