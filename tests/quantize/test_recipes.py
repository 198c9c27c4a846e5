"""Types per tensor: equal to llama.cpp's own snapshots of twelve models, and what options change.

tests/data/recipe_choices.json: for each model its traits, its matrices (columns, layers) and, by file type, the layers
whose type is not the base type; read out of tests/snapshots of llama.cpp b11434.
"""

import json
from pathlib import Path

import pytest

from llama_gguf.errors import ModelError
from llama_gguf.quantize.filetypes import FILE_TYPES
from llama_gguf.quantize.recipes import Recipe, Traits

SNAPSHOTS = json.loads((Path(__file__).parents[1] / "data" / "recipe_choices.json").read_text())
TINY = Traits("llama", layers=2, gqa=4)


def spread(name, layers):
    """Names of tensors: of each layer in "0-3,7", or the name alone."""
    for run in layers.split(","):
        first, _, last = run.partition("-")
        if run:
            yield from (f"blk.{i}.{name}.weight" for i in range(int(first), int(last or first) + 1))
    if not layers:
        yield f"{name}.weight"


def matrices(model):
    for name, t in model["tensors"].items():
        shape = (*([t["stack"]] if "stack" in t else []), 64, t["cols"])
        yield from ((full, shape, "F32") for full in spread(name, t["layers"]))


def traits_of(model):
    kv_heads = model["kv_heads"]
    gqa = model["heads"] // kv_heads if kv_heads else 0
    return Traits(model["arch"], model["layers"], gqa, model["experts"])


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_types_are_those_of_llama_quantize(name):
    model = SNAPSHOTS[name]
    tensors, wrong = list(matrices(model)), []
    for file_type, expected in model["types"].items():
        base = expected.pop("base")
        assert FILE_TYPES[file_type].base == base
        special = {
            full: kind for kind, kinds in expected.items() for k, layers in kinds.items() for full in spread(k, layers)
        }
        for choice in Recipe(file_type).choose(tensors, traits_of(model)):
            if choice.target != special.get(choice.name, base):
                wrong.append((file_type, choice.name, choice.target, special.get(choice.name, base)))
    assert not wrong


def chosen(recipe, *tensors, traits=TINY, has_imatrix=False):
    """{name: target} of F32 tensors given as (name, shape)."""
    choices = recipe.choose([(n, s, "F32") for n, s in tensors], traits, has_imatrix)
    return {c.name: c.target for c in choices}


TABLE, HEAD = ("token_embd.weight", (512, 256)), ("output.weight", (512, 256))
VALUES, DOWN = ("blk.0.attn_v.weight", (64, 256)), ("blk.0.ffn_down.weight", (256, 256))


def test_a_table_that_serves_as_output_gets_the_outputs_type():
    assert chosen(Recipe("IQ2_XXS"), TABLE) == {"token_embd.weight": "Q5_K"}
    assert chosen(Recipe("IQ2_XXS"), TABLE, HEAD) == {"token_embd.weight": "Q2_K", "output.weight": "Q5_K"}


def test_options_overrule_the_mixture():
    recipe = Recipe("Q4_K_M", output_type="q8_0", token_embedding_type="Q5_K", tensor_types=[("attn_v", "iq4_xs")])
    assert chosen(recipe, TABLE, HEAD, VALUES) == {
        "token_embd.weight": "Q5_K", "output.weight": "Q8_0", "blk.0.attn_v.weight": "IQ4_XS"
    }
    assert set(chosen(Recipe("Q4_K_M", pure=True), TABLE, HEAD, VALUES, DOWN).values()) == {"Q4_K"}
    assert chosen(Recipe("Q4_K_M", leave_output=True), HEAD) == {"output.weight": "F32"}
    assert chosen(Recipe("Q4_K_M", output_type="Q8_0"), TABLE) == {"token_embd.weight": "Q8_0"}  # it is the output
    assert chosen(Recipe("copy"), TABLE, VALUES) == {"token_embd.weight": "F32", "blk.0.attn_v.weight": "F32"}


def test_the_first_pattern_found_in_a_name_wins():
    recipe = Recipe("Q4_K_M", tensor_types=[(r"blk\.0\.", "Q8_0"), ("attn_v", "Q2_K")])
    names = ("blk.0.attn_v.weight", "blk.1.attn_v.weight")
    assert list(chosen(recipe, *((n, (64, 256)) for n in names)).values()) == ["Q8_0", "Q2_K"]


def test_an_importance_matrix_changes_what_needs_no_guard():
    assert chosen(Recipe("Q4_0"), DOWN, traits=Traits("llama", 8)) == {DOWN[0]: "Q4_0"}
    assert chosen(Recipe("Q4_0"), DOWN, traits=Traits("llama", 8), has_imatrix=True) == {DOWN[0]: "Q4_1"}
    assert chosen(Recipe("IQ3_XXS"), DOWN) == {DOWN[0]: "Q3_K"}
    assert chosen(Recipe("IQ3_XXS"), DOWN, has_imatrix=True) == {DOWN[0]: "IQ3_XXS"}


@pytest.mark.parametrize(
    ("wanted", "cols", "given"),
    [("IQ2_XXS", 576, "IQ4_NL"), ("Q2_K", 96, "Q4_0"), ("Q4_K", 576, "Q5_0"), ("Q5_K", 32, "Q5_1"),
     ("Q6_K", 96, "Q8_0"), ("TQ1_0", 64, "Q4_0"), ("Q4_K", 40, "F16"), ("Q4_0", 40, "F16"), ("Q4_K", 512, "Q4_K")],
)
def test_odd_widths_get_the_nearest_type_that_fits(wanted, cols, given):
    (choice,) = Recipe("Q8_0", token_embedding_type=wanted).choose([("token_embd.weight", (9, cols), "F32")], TINY)
    assert choice.target == given and (given == wanted) == ("whole blocks" not in choice.reason)


def test_what_is_no_matrix_of_a_product_stays():
    kept = [("blk.0.attn_norm.weight", (256,)), ("blk.0.ffn_gate_inp.weight", (8, 256)),
            ("blk.0.attn_q.bias", (9, 256)), ("position_embd.weight", (64, 256)),
            ("blk.0.ssm_conv1d.weight", (64, 4)), ("blk.0.x.weight", (1, 256))]
    assert set(chosen(Recipe("Q4_K_M"), *kept).values()) == {"F32"}


def test_which_tensors_need_an_importance_matrix():
    def needy(recipe, *tensors):
        return [c.name for c in recipe.choose([(n, s, "F32") for n, s in tensors], TINY) if c.needs_importance]

    assert needy(Recipe("IQ2_XXS"), TABLE, HEAD, DOWN) == [DOWN[0]]
    assert needy(Recipe("IQ2_XXS", pure=True), TABLE) == [TABLE[0]]  # it multiplies
    assert needy(Recipe("IQ2_XXS", pure=True), TABLE, HEAD) == [HEAD[0]]  # the table is only looked up
    assert needy(Recipe("Q2_K_S"), VALUES, ("blk.1.attn_q.weight", (64, 256))) == ["blk.1.attn_q.weight"]
    assert not needy(Recipe("Q2_K"), VALUES, DOWN)


@pytest.mark.parametrize(
    ("make", "says"),
    [(lambda: Recipe("Q9"), "no file type 'Q9'"), (lambda: Recipe("Q4_0", output_type="I8"), "of type 'I8'"),
     (lambda: Recipe("Q4_0", tensor_types=[("(", "Q8_0")]), "not a regular expression")],
)
def test_unknown_names_are_refused(make, says):
    with pytest.raises(ModelError, match=says):
        make()


def test_names_are_found_by_alias_case_and_number():
    assert [Recipe(n).type for n in ("q4_k", "15", 15, "Iq2_xxs")] == ["Q4_K_M", "Q4_K_M", "Q4_K_M", "IQ2_XXS"]
