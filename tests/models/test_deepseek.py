"""DeepSeek 2: files of the older form, YaRN, caches, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from llama_gguf import GGUFFile, Model
from llama_gguf.cache import head_bytes
from llama_gguf.errors import ModelError
from llama_gguf.gguf import write_gguf
from llama_gguf.reference import Reference

from . import deepseek_groups
from .goldens import FOLDER, golden, nmse, path, reference

SAME, OUTSIDE = 1e-10, 1e-12  # as in test_models
HEADS, PLAIN, ROTATED, VALUE = 4, 16, 16, 16
YARN = {
    "deepseek2.rope.scaling.type": "yarn", "deepseek2.rope.scaling.factor": 4.0,
    "deepseek2.rope.scaling.original_context_length": 64, "deepseek2.rope.scaling.yarn_log_multiplier": 0.0707,
}


def variant(name, file, metadata=None, tensors=None):
    """A golden model with other keys and tensors; None takes one away."""
    with GGUFFile(path(name)) as source:
        keys = source.metadata.typed() | (metadata or {})
        made = {n: ("F32", t.shape, t.numpy()) for n, t in source.tensors.items()} | (tensors or {})
        keys = {k: v for k, v in keys.items() if v is not None}
        write_gguf(file, keys, [(n, *x) for n, x in made.items() if x is not None], force=True)
    return file


def older(name, file):
    """Each head's own keys and values, as files had them before the absorbed form."""
    tensors = {}
    with GGUFFile(path(name)) as source:
        for n, t in source.tensors.items():
            if n.endswith("attn_k_b.weight"):
                k, v = t.numpy(), source.tensors[n.replace("k_b", "v_b")].numpy()
                both = np.concatenate([k.transpose(0, 2, 1), v], 1).reshape(-1, k.shape[1])
                tensors |= {n: None, n.replace("k_b", "v_b"): None, n.replace("k_b", "kv_b"): ("F32", both.shape, both)}
    return variant(name, file, {
        "deepseek2.attention.head_count_kv": HEADS, "deepseek2.attention.key_length": PLAIN + ROTATED,
        "deepseek2.attention.value_length": VALUE, "deepseek2.attention.key_length_mla": None,
        "deepseek2.attention.value_length_mla": None,
    }, tensors)


@pytest.mark.parametrize("name", ["deepseek2", "deepseek3"])
def test_files_of_the_older_form_give_the_same_logits(isa, name, tmp_path):
    ids, logits = golden(name)
    with Model(older(name, tmp_path / "old.gguf"), exact=True, n_threads=1) as model:
        assert model.graph.caches[0].heads == HEADS
        found = model.logits(ids)
        session = model.session()
        assert nmse(np.concatenate([session.forward([i]) for i in ids]), found) <= SAME
    for peer in logits.values():
        assert nmse(found, peer) <= OUTSIDE


def test_yarn_sharpens_scores_as_in_llama_cpp(isa, tmp_path):
    want = np.load(FOLDER / "deepseek2" / "yarn.npz")["llama_cpp"]
    with Model(variant("deepseek2", tmp_path / "y.gguf", YARN), exact=True) as model:
        found = model.logits(golden("deepseek2")[0])
    assert nmse(found, want) <= OUTSIDE
    assert nmse(found, reference("deepseek2")) > 1e-6


def test_groups_are_chosen_by_their_best_expert_as_in_transformers(isa, tmp_path):
    """Of eight groups three; by their best two experts, as V3 has it, other ones would be chosen."""
    ids, want = deepseek_groups.IDS, np.load(deepseek_groups.LOGITS)["transformers"]
    with Model(deepseek_groups.write(tmp_path / "g.gguf"), exact=True) as model:
        found = model.logits(ids)
        session = model.session()
        assert nmse(np.concatenate([session.forward([i]) for i in ids]), found) <= SAME
        assert nmse(Reference(model).logits(ids), want) <= OUTSIDE
        model.h.routing = replace(model.h.routing, group_best=2)
        assert nmse(Reference(model).logits(ids), want) > 1e-4
    assert nmse(found, want) <= OUTSIDE


def test_the_cache_holds_the_latent_once():
    with Model(path("deepseek2")) as model:
        spec = model.graph.caches[1]
        assert (spec.heads, spec.k_dim, spec.v_dim, spec.shared) == (1, 48, 32, True)
        assert head_bytes("F16", spec) == (96, 0)


@pytest.mark.parametrize("kv_type", ["F16", "Q8_0", "Q4_0"])
def test_latents_in_few_bits(isa, kv_type):
    ids = golden("deepseek3")[0]
    with Model(path("deepseek3"), exact=True, kv_type=kv_type) as model:
        error = nmse(model.logits(ids), reference("deepseek3"))
        with model.trace(ids) as t:
            assert nmse(t.logits, model.logits(ids)) <= SAME
    assert error <= {"F16": 1e-8, "Q8_0": 1e-5, "Q4_0": 3e-3}[kv_type]


def test_queries_without_a_latent_of_their_own(isa, tmp_path):
    """The small models have attn_q."""
    rng, tensors = np.random.default_rng(0), {}
    for i in range(3):
        q = rng.standard_normal((HEADS * (PLAIN + ROTATED), 64)).astype(np.float32) / 8
        tensors |= {f"blk.{i}.{n}.weight": None for n in ("attn_q_a", "attn_q_a_norm", "attn_q_b")}
        tensors[f"blk.{i}.attn_q.weight"] = ("F32", q.shape, q)
    file = variant("deepseek2", tmp_path / "l.gguf", {"deepseek2.attention.q_lora_rank": None}, tensors)
    with Model(file, exact=True) as model:
        ids = golden("deepseek2")[0]
        assert nmse(model.logits(ids), Reference(model).logits(ids)) <= SAME


@pytest.mark.parametrize(("key", "value"), [
    ("attention.kv_lora_rank", None), ("attention.kv_lora_rank", 0), ("attention.kv_lora_rank", 31),
    ("attention.key_length_mla", 16), ("attention.temperature_scale", 0.1), ("expert_gating_func", 9),
    ("rope.dimension_count", 14),
])
def test_what_does_not_fit_is_refused(key, value, tmp_path):
    with pytest.raises(ModelError, match=r"tensor blk\.|deepseek2\."):
        Model(variant("deepseek2", tmp_path / "bad.gguf", {f"deepseek2.{key}": value}))
