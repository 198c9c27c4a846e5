"""What happens to tensors, against plain loops over rows; and that each step can be undone."""

import numpy as np
import pytest

from llama_gguf.convert import convert
from llama_gguf.convert.families.deepseek import join, split
from llama_gguf.convert.families.internlm2 import join as join_groups
from llama_gguf.convert.families.internlm2 import split as split_groups
from llama_gguf.convert.rules import column_halves, every_other, every_other_column, every_other_row, row_halves, rows
from llama_gguf.convert.transforms import (
    by_kind,
    column,
    grouped,
    halves,
    minus_exp,
    neighbours,
    plus_one,
    scaled,
    squeezed,
    tiled,
    tiled_behind,
    tiled_columns,
    transposed,
)

from .folders import LLAMA, folder, llama, normal, tensors


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_rows_that_turn_together_become_neighbours(tmp_path, kv_heads):
    source, dim = llama(kv_heads=kv_heads), 16
    convert(folder(tmp_path / "m", LLAMA | {"num_key_value_heads": kv_heads}, source), tmp_path / "m.gguf", "F32")
    made = tensors(tmp_path / "m.gguf")
    for ours, theirs, heads in (("attn_q", "q_proj", 4), ("attn_k", "k_proj", kv_heads)):
        there = source[f"model.layers.0.self_attn.{theirs}.weight"]
        for head in range(heads):
            for i in range(dim // 2):
                at = head * dim
                here = made[f"blk.0.{ours}.weight"]
                assert np.array_equal(here[at + 2 * i], there[at + i])
                assert np.array_equal(here[at + 2 * i + 1], there[at + dim // 2 + i])
    assert np.array_equal(made["blk.0.attn_v.weight"], source["model.layers.0.self_attn.v_proj.weight"])


def test_gemma_norms_have_their_one(tmp_path):
    source = llama()
    del source["lm_head.weight"]
    config = {"architectures": ["GemmaForCausalLM"], "num_key_value_heads": 4, "head_dim": 16}
    convert(folder(tmp_path / "m", config, source), tmp_path / "m.gguf", "F32", check=False)
    expected = source["model.norm.weight"] + np.float32(1)
    assert np.array_equal(tensors(tmp_path / "m.gguf")["output_norm.weight"], expected)


def test_experts_are_stacked_in_the_order_of_their_numbers(tmp_path):
    source = llama()
    experts = {f"model.layers.0.block_sparse_moe.experts.{e}.{w}.weight": normal(e, *shape)
               for e in (10, 2, 0, 1, 9, 3, 8, 4, 7, 5, 6, 11) for w, shape in
               (("w1", (96, 64)), ("w2", (64, 96)), ("w3", (96, 64)))}
    source = {k: v for k, v in source.items() if ".mlp." not in k} | experts
    source["model.layers.0.block_sparse_moe.gate.weight"] = normal(9, 12, 64)
    config = {"architectures": ["MixtralForCausalLM"], "num_local_experts": 12, "num_key_value_heads": 4}
    convert(folder(tmp_path / "m", config, source), tmp_path / "m.gguf", "F32")
    made = tensors(tmp_path / "m.gguf")["blk.0.ffn_gate_exps.weight"]
    for e in range(12):
        assert np.array_equal(made[e], experts[f"model.layers.0.block_sparse_moe.experts.{e}.w1.weight"])


def test_fused_groups_fall_apart_by_kind():
    heads, kv_heads, dim = 6, 2, 3
    x = normal(0, (heads + 2 * kv_heads) * dim, 5)
    q, k, v = [], [], []
    for group in range(kv_heads):  # three queries, a key, a value
        start = group * 5 * dim
        q += list(x[start : start + 3 * dim])
        k += list(x[start + 3 * dim : start + 4 * dim])
        v += list(x[start + 4 * dim : start + 5 * dim])
    assert np.array_equal(by_kind(heads, kv_heads).apply(x), np.array(q + k + v))
    assert all(map(np.array_equal, split_groups(x, heads, kv_heads), (np.array(q), np.array(k), np.array(v))))


def test_latent_keys_are_transposed_for_each_head():
    heads, key_dim, value_dim, latent = 2, 3, 4, 5
    x = normal(0, heads * (key_dim + value_dim), latent)
    keys, values = split(x, heads, key_dim)
    for head in range(heads):
        start = head * (key_dim + value_dim)
        assert np.array_equal(keys[head], x[start : start + key_dim].T)
        assert np.array_equal(values[head], x[start + key_dim : start + key_dim + value_dim])


def test_value_heads_take_turns():
    keys, values, width = 2, 6, 2  # heads 0 1 2 belong to key 0, and 3 4 5 to key 1
    x = np.repeat(np.arange(values), width)[:, None]
    assert tiled(keys, values, width).apply(x)[::width, 0].tolist() == [0, 3, 1, 4, 2, 5]


STEPS = [
    (neighbours(4), (16, 5)), (halves(8, 4), (16, 5)), (plus_one(), (7,)), (transposed(), (3, 4, 5)),
    (squeezed(), (6, 1, 4)), (column(), (6,)), (grouped(2), (6,)), (by_kind(6, 2), (30, 5)), (tiled(2, 6, 3), (18, 4)),
    (tiled_columns(2, 6, 3), (4, 18)), (tiled_behind(2, 6, 3, 5), (38, 4)), (scaled(2.0), (3, 4)),
]


@pytest.mark.parametrize(("one", "shape"), STEPS, ids=lambda x: getattr(getattr(x, "forward", None), "__name__", ""))
def test_a_step_can_be_undone(one, shape):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert np.array_equal(one.undo(one.apply(x)), x)
    np.testing.assert_allclose(minus_exp().undo(minus_exp().apply(x[..., :1] % 7)), x[..., :1] % 7, rtol=1e-6)


CUTS = [(rows(2, 3), (5, 4)), (row_halves, (2, 6, 4)), (column_halves, (2, 6, 4)), (every_other, (3, 8)),
        (every_other_column, (2, 3, 8)), (every_other_row, (2, 8, 3))]


@pytest.mark.parametrize(("cut", "shape"), CUTS)
def test_parts_can_be_joined(cut, shape):
    x = normal(0, *shape)
    assert np.array_equal(cut.join(cut.split(x, *cut.arguments), *cut.arguments), x)


def test_fused_parts_can_be_joined():
    x = normal(0, 30, 4)
    assert np.array_equal(join_groups(split_groups(x, 6, 2), 6, 2), x)
    x = normal(0, 14, 5)
    assert np.array_equal(join(split(x, 2, 3), 2, 3), x)
