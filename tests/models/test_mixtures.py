"""Families with experts that transformers does not vouch for here: random files, llama.cpp, and what a trace shows."""

from pathlib import Path

import numpy as np
import pytest

from llama_gguf import Model, ModelError
from llama_gguf.gguf import GGUFFile, write_gguf
from llama_gguf.reference import Reference
from llama_gguf.testing import tiny

from .goldens import exact, golden, nmse
from .random_mixtures import MAKERS, TOKENS

GOLDENS = Path(__file__).parents[1] / "data" / "goldens" / "mixtures.npz"
SAME, OUTSIDE = 1e-10, 1e-11
ROUTING = ("ffn_moe_logits", "ffn_moe_probs", "ffn_moe_topk", "ffn_moe_weights", "ffn_moe_out", "ffn_act")


@pytest.mark.parametrize("name", MAKERS)
def test_logits_equal_those_of_llama_cpp(isa, name, tmp_path):
    want = np.load(GOLDENS)[name]
    with Model(MAKERS[name]().write(tmp_path / "t.gguf"), exact=True, n_threads=2) as model:
        found = model.logits(TOKENS)
        assert nmse(found, want) <= OUTSIDE
        assert nmse(found, Reference(model).logits(TOKENS)) <= OUTSIDE
        session = model.session()
        single = np.concatenate([session.forward([i]) for i in TOKENS])
        assert nmse(single, found) <= SAME
        with model.trace(TOKENS) as t:
            assert nmse(t.logits, found) <= OUTSIDE


@pytest.mark.parametrize("name", ["mixtral", "gpt-oss"])
def test_routing_can_be_watched_and_changed(isa, name):
    """Ids as floats, by falling score; a pass in which all tokens are sent to two experts is the reference's."""
    ids = golden(name)[0][:20]
    with exact(name) as model:
        ref, others = Reference(model), np.full((20, 2), (3, 1), np.float32)
        ref.logits(ids)
        with model.trace(ids) as t:
            for value in ROUTING:
                assert nmse(t[f"blk.1.{value}"], ref[f"blk.1.{value}"]) <= SAME
            logits, chosen = t["blk.1.ffn_moe_logits"], t["blk.1.ffn_moe_topk"]
            np.testing.assert_array_equal(chosen, np.argsort(-logits, -1, kind="stable")[:, :2])
        edited = Reference(model, edits={"blk.0.ffn_moe_topk": lambda x: others})
        want = edited.logits(ids)
        with model.trace(ids) as t:
            t["blk.0.ffn_moe_topk"][:] = others
            assert nmse(t.logits, want) <= SAME
        assert nmse(want, ref["logits"]) > 1e-4


def test_an_expert_that_does_not_exist_is_another_one(isa):
    """What is written into a trace is not trusted."""
    ids = golden("mixtral")[0][:8]
    with exact("mixtral") as model:
        for wrong in (-1e30, -1, 4, 1e30, np.nan, np.inf):
            with model.trace(ids) as t:
                t["blk.0.ffn_moe_topk"][:] = wrong
                assert np.isfinite(t.logits).all()


@pytest.mark.parametrize("how", [{"exact": True}, {}, {"repack": False}], ids=str)
@pytest.mark.parametrize("type", ["Q4_K_M", "Q8_0", "MXFP4", "F16"])
def test_the_number_of_threads_does_not_change_a_bit(isa, type, how, tmp_path):
    path = tiny(tmp_path / "t.gguf", type=type, width=256, ff=512, experts=8, layers=8 if type == "Q4_K_M" else 2)
    ids = np.random.default_rng(0).integers(0, 256, 70).tolist()
    with Model(path, n_threads=1, **how) as model:
        one, session = model.logits(ids), model.session()
        single = np.concatenate([session.forward([i]) for i in ids])
        np.testing.assert_array_equal(single, one)
    with Model(path, n_threads=3, **how) as model:
        np.testing.assert_array_equal(model.logits(ids), one)


BAD = [
    ("expert_used_count", [None, 0, 9, -1]), ("expert_gating_func", [5, -1, "softmax"]), ("expert_count", [1025, -1]),
    ("expert_weights_scale", [-1.0, float("nan")]), ("expert_weights_norm", [1]),
    ("expert_group_count", [3, 9]),
]


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, values in BAD for v in values], ids=str)
def test_an_impossible_mixture_is_refused_by_name(key, value, tmp_path):
    with pytest.raises(ModelError) as error:
        Model(tiny(tmp_path / "t.gguf", experts=8, metadata={f"llama.{key}": value}))
    assert error.value.key == f"llama.{key}"


@pytest.mark.parametrize("used", [None, 0, 5])
def test_groups_must_be_some_and_large_enough(used, tmp_path):
    keys = {"llama.expert_group_count": 4, "llama.expert_group_used_count": used, "llama.expert_used_count": 3}
    with pytest.raises(ModelError, match="expert_group_used_count"):
        Model(tiny(tmp_path / "t.gguf", experts=8, metadata=keys))
    with pytest.raises(ModelError, match="expert_used_count"):
        Model(tiny(tmp_path / "t.gguf", experts=8, metadata=keys | {"llama.expert_group_used_count": 1}))


def test_experts_and_keys_go_together(tmp_path):
    """A router without expert_count, experts in a family that has none, an old file with a tensor for each expert."""
    with pytest.raises(ModelError, match="expert_count"):
        Model(tiny(tmp_path / "a.gguf", experts=8, metadata={"llama.expert_count": None}))
    with pytest.raises(ModelError, match="expert_count"):
        Model(tiny(tmp_path / "b.gguf", arch="gemma", family="llama", experts=8))
    old = {"blk.0.ffn_up_exps.weight": None, "blk.0.ffn_up.0.weight": np.zeros((96, 64), np.float32)}
    with pytest.raises(ModelError, match=r"ffn_up_exps\.weight is missing"):
        Model(tiny(tmp_path / "c.gguf", experts=8, tensors=old))


def test_a_bias_of_the_choice_may_be_a_row_of_a_matrix(tmp_path):
    """As ERNIE 4.5's files of llama.cpp have it: (1, experts)."""
    flat, row = tiny(tmp_path / "flat.gguf", arch="ernie4_5-moe"), tmp_path / "row.gguf"
    with GGUFFile(flat) as file:
        tensors = [
            (name, t.type.name, (1, *t.shape) if name.endswith("exp_probs_b.bias") else t.shape, t.raw)
            for name, t in file.tensors.items()
        ]
        assert any(shape[0] == 1 for *_, shape, _ in tensors)
        write_gguf(row, dict(file.metadata), tensors)
    with Model(flat, exact=True) as m, Model(row, exact=True) as other:
        np.testing.assert_array_equal(other.logits([1, 2, 3]), m.logits([1, 2, 3]))
