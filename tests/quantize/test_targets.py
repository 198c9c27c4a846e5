"""Types for a size: never above it, best by exhaustive search on small cases, and read by llama-quantize's rules."""

import itertools
import os

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.errors import ModelError
from llama_gguf.quantize import plan_file, quantize_file
from llama_gguf.quantize.targets import Option, hull, measured_sensitivity, recipe_for_size, within
from llama_gguf.testing import tiny


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("targets") / "tiny.gguf", width=256, ff=512, tied=True)


FEW = "Q4_0", "Q5_0", "Q6_K", "Q8_0"


@pytest.fixture(scope="module")
def options(source):
    """Of all matrices, with all types of the ladder that need no importance."""
    return recipe_for_size(source, 10_000_000).options


@pytest.mark.parametrize("n_bytes", [900_000, 1_200_000])
def test_the_file_is_as_large_as_asked_at_most(source, n_bytes, tmp_path):
    target = recipe_for_size(source, n_bytes, types=FEW)
    result = quantize_file(source, tmp_path / "out.gguf", target.recipe)
    assert 0.97 * n_bytes < os.path.getsize(result.paths[0]) <= target.n_bytes <= n_bytes


def test_bits_per_weight_count_all_tensors(source):
    recipe = recipe_for_size(source, bits_per_weight=6, types=FEW).recipe
    assert 5.8 < plan_file(source, recipe).bits_per_weight <= 6


def test_more_room_never_does_more_damage(options):
    sums = [sum(o.damage for o in within(options, n).values()) for n in range(500_000, 2_500_000, 100_000)]
    assert sums == sorted(sums, reverse=True) and sums[0] > sums[-1] > 0


def test_small_types_that_need_importance_are_left_out_without(options):
    found = {o.type for some in options.values() for o in some}
    assert {"Q2_K", "IQ4_XS", "Q8_0"} <= found and not found & {"IQ1_S", "IQ2_XXS", "IQ3_XXS"}


def test_choices_are_near_the_best_of_all():
    """Against every combination of five options for five matrices."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        options = {}
        for name in "abcde":
            sizes, damage = np.cumsum(rng.integers(1, 9, 5)).tolist(), np.sort(rng.random(5))[::-1].tolist()
            options[name] = [Option("", s, d) for s, d in zip(sizes, damage, strict=True)]
        budget = int(rng.integers(60, 90))
        every = itertools.product(*options.values())
        best = min(sum(o.damage for o in c) for c in every if sum(o.n_bytes for o in c) <= budget)
        chosen = within(options, budget).values()
        assert sum(o.n_bytes for o in chosen) <= budget
        widest = max(b.damage for some in options.values() for b in some)
        assert sum(o.damage for o in chosen) <= best + widest  # what is lost is less than one step


def test_the_hull_leaves_out_what_is_never_best():
    options = [Option("a", 1, 10.0), Option("b", 2, 9.0), Option("c", 3, 2.0), Option("d", 3, 3.0), Option("e", 4, 2.5),
               Option("f", 9, 0.0)]
    assert [o.type for o in hull(options)] == ["a", "c", "f"]


def test_a_sensitive_matrix_gets_more_bits(source):
    name, pattern = "blk.0.ffn_up.weight", r"^blk\.0\.ffn_up\.weight$"
    even = dict.fromkeys(recipe_for_size(source, 1_000_000, types=FEW).options, 1e-3)
    found = [recipe_for_size(source, 1_000_000, types=FEW, sensitivity=even | {name: kl}) for kl in (1e-9, 1e3)]
    dull, keen = (dict(target.recipe.tensor_types)[pattern] for target in found)
    assert dull == "Q4_0" and keen in ("Q8_0", "F32")


def test_the_output_matters_most_where_nothing_is_measured(source):
    target = recipe_for_size(source, 1_000_000, types=FEW)
    assert dict(target.recipe.tensor_types)[r"^token_embd\.weight$"] in ("Q8_0", "F32")


def test_what_was_not_measured_stands_beside_the_median_of_the_others(source):
    """Nats beside relative noise would make every such matrix matter most."""
    def damages(**how):
        options = recipe_for_size(source, 1_000_000, types=FEW, **how).options
        return {name: np.array([o.damage for o in some if o.type in FEW]) for name, some in options.items()}

    alone = damages()
    names = ["blk.0.ffn_up.weight", "blk.0.ffn_down.weight", "blk.1.ffn_up.weight"]
    sensitivity = {name: 1e-3 * k * alone[name][0] for name, k in zip(names, (1, 2, 50), strict=True)}
    found = damages(sensitivity=sensitivity)
    np.testing.assert_allclose(found["blk.0.attn_q.weight"], 2e-3 * alone["blk.0.attn_q.weight"])


def test_too_small_a_size_names_the_least(source):
    told = r"0\.64 bits per weight\) are too few: the smallest types that fit the widths take 714,080 bytes"
    with pytest.raises(ModelError, match=told):
        recipe_for_size(source, 100_000, types=FEW)
    with pytest.raises(ValueError, match="one of them"):
        recipe_for_size(source)


def test_types_are_exported_as_llama_quantize_reads_them(source):
    lines = recipe_for_size(source, 900_000, types=FEW).as_tensor_types().splitlines()
    assert len(lines) == 15 and r"^blk\.1\.attn_k\.weight$=" in "\n".join(lines)
    assert all(" " not in line and line.rpartition("=")[2].islower() for line in lines)


def test_sensitivity_is_the_divergence_that_one_matrix_causes(source):
    """Matrices at zero make no difference, others do."""
    with Model(tiny(source.parent / "zero.gguf", tensors={"blk.0.ffn_down.weight": np.zeros((256, 256))},
                    width=256, ff=256, tied=True)) as model:
        told = measured_sensitivity(model, [5, 6, 7, 8, 9])
    assert told["blk.0.ffn_down.weight"] == 0 and told["blk.1.ffn_down.weight"] > 0 and told["token_embd.weight"] > 0
