"""Heads behind the pooling, and encoders with experts: vectors and scores are those of llama.cpp."""

import numpy as np
import pytest

from llama_gguf import Model, ModelError
from llama_gguf.reference import Reference
from llama_gguf.testing import tiny

from .goldens import nmse
from .more_vectors import CASES, IDS, VECTORS, write
from .test_models import SAME

OUTSIDE, TABLE = 1e-12, 1e-6  # llama.cpp takes GELU, in its tanh form, from a table of halves


@pytest.mark.parametrize("name", CASES)
def test_vectors_and_scores_are_those_of_llama_cpp(isa, name, tmp_path):
    found, how = np.load(VECTORS), CASES[name][1]
    limit = OUTSIDE if how == "rank" else TABLE
    with Model(write(name, tmp_path / "t.gguf"), exact=True, n_threads=1) as model:
        assert nmse(model.embed(IDS, how, normalize=False), found[name]) <= limit
        assert nmse(model.embed(IDS, "none", normalize=False), found[f"{name}, states"]) <= limit
        together = model.embed([IDS, IDS[:3], IDS * 2], how, normalize=False)
        assert nmse(together[0], model.embed(IDS, how, normalize=False)) <= SAME


def test_a_reranker_writes_on_as_well(tmp_path):
    """Its head is no part of a pass: logits are those of the same file without it."""
    plain = {"cls.output.weight": None}
    with (
        Model(write("qwen3, reranker", tmp_path / "r.gguf"), exact=True) as model,
        Model(tiny(tmp_path / "t.gguf", "qwen3", tensors=plain), exact=True) as other,
    ):
        assert len(model.graph.records) == len(other.graph.records)
        assert nmse(model.logits(IDS), Reference(model).logits(IDS)) <= SAME
        np.testing.assert_array_equal(model.embed(IDS), model.embed(IDS, "rank"))
        with pytest.raises(ModelError, match="no head that ranks"):
            other.embed(IDS, "rank")


@pytest.mark.parametrize(("name", "tensors", "named"), [
    ("gemma-embedding", {"dense_2.weight": (96, 64)}, "dense_3.weight"),
    ("gemma-embedding", {"dense_2.weight": (96, 64), "dense_3.weight": (64, 95)}, "dense_3.weight"),
    ("gemma-embedding", {"dense_3.weight": (64, 96)}, "dense_3.weight"),
    ("qwen3", {"cls.output.weight": (2, 63)}, "cls.output.weight"),
    ("qwen2", {"cls.output.weight": (2, 64)}, "cls.output.weight"),
    ("jina-bert-v3", {"blk.0.ffn_gate.weight": (96, 64)}, "blk.0.ffn_gate.weight"),
])
def test_half_a_head_is_refused_by_name(name, tensors, named, tmp_path):
    tensors = {n: np.ones(shape, np.float32) for n, shape in tensors.items()}
    with pytest.raises(ModelError) as error:
        Model(tiny(tmp_path / "t.gguf", name, tensors=tensors)).close()
    assert error.value.tensor == named
