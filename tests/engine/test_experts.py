"""Mixtures of experts: every way to choose and to weigh, and products with the weights of the chosen ones."""

import functools

import numpy as np
import pytest

from llama_gguf import ModelError, nn, planner
from llama_gguf.routing import GATINGS, Routing
from llama_gguf.testing import random_matrix

from .guard import guarded
from .words import OneLayer, Rows, both, close, nmse

EXACT = 1e-11  # float32 against double precision
WIDTH, FF, COUNT, USED = 96, 64, 6, 3
EIGHT_BIT = 2e-3  # activations rounded to 8 bits, twice


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def matrix(name, type, *shape, seed=0):
    if type == "F32":
        return Rows(name, normal(*shape, seed=seed) / shape[-1] ** 0.5)
    rng = np.random.default_rng([seed, *shape])
    return Rows(name, random_matrix(type, int(np.prod(shape[:-1])), shape[-1], rng), type, shape)


def tensors(type="F32", width=WIDTH, ff=FF, count=COUNT, gate=True, bias=False, **more):
    """A mixture's tensors by GGUF's names, without the block."""
    shapes = {"ffn_up_exps": (count, ff, width), "ffn_down_exps": (count, width, ff)}
    shapes |= {"ffn_gate_exps": (count, ff, width)} if gate else {}
    found = {"ffn_gate_inp": normal(count, width) / width**0.5 * 3}
    for i, (name, shape) in enumerate(shapes.items()):
        found[name] = matrix(name, type, *shape, seed=i)
        if bias:
            found[f"{name}.bias"] = normal(*shape[:2], seed=9)
    if bias:
        found["ffn_gate_inp.bias"] = normal(count, seed=9)
    return found | more


def mixture(act=nn.silu, gated=True, **routing):
    routing = {"count": COUNT, "used": USED} | routing

    def build(g, w, x):
        g.h.routing = Routing(**routing)
        return x + nn.moe(w, x, g.h, act, gated)

    return build


@pytest.mark.parametrize("visible", [None, 64])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("gating", GATINGS.values())
def test_gatings(isa, gating, norm, visible):
    build = mixture(gating=gating, norm=norm, scale=2.5)
    close(*both(build, normal(37, WIDTH), tensors(), visible=visible, dtype=np.float64), EXACT)


@pytest.mark.parametrize("visible", [None, 64])
@pytest.mark.parametrize("how", [
    {"groups": 3, "groups_used": 2}, {"groups": 3, "groups_used": 2, "group_best": 1, "used": 2},
    {"groups": 2, "groups_used": 1}, {"used": 1}, {"used": COUNT}, {"before": True, "gating": "sigmoid", "used": 1},
    {"before": True, "gating": "sigmoid"},
], ids=str)
def test_choices(isa, how, visible):
    close(*both(mixture(**how), normal(40, WIDTH), tensors(), visible=visible, dtype=np.float64), EXACT)


@pytest.mark.parametrize("visible", [None, 64])
def test_a_bias_changes_who_is_chosen_and_not_the_weights(isa, visible):
    x, bias = normal(40, WIDTH), {"exp_probs_b.bias": 0.3 * normal(COUNT)}
    for how in ({"gating": "sigmoid", "norm": True}, {"gating": "sigmoid", "groups": 3, "groups_used": 2}):
        biased, twin = both(mixture(**how), x, tensors(**bias), visible=visible, dtype=np.float64)
        close(biased, twin, EXACT)
        assert nmse(both(mixture(**how), x, tensors())[0], biased) > 1e-3


@pytest.mark.parametrize("visible", [None, 64])
@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("act", [nn.silu, nn.gelu, nn.swiglu_oai])
def test_acts_and_biases(isa, act, gate, visible):
    if act is nn.swiglu_oai and not gate:
        pytest.skip("it needs a gate")
    made = tensors(gate=gate, bias=True)
    close(*both(mixture(act, gate), 3 * normal(20, WIDTH), made, visible=visible, dtype=np.float64), EXACT)


@pytest.mark.parametrize("gated", [False, "row", "vector"])
def test_shared_experts(isa, gated):
    shared = {"ffn_up_shexp": normal(40, WIDTH) / 10, "ffn_gate_shexp": normal(40, WIDTH, seed=1) / 10}
    shared["ffn_down_shexp"] = normal(WIDTH, 40) / 6
    if gated:
        shared["ffn_gate_inp_shexp"] = normal(1, WIDTH) / 9 if gated == "row" else normal(WIDTH) / 9
    close(*both(mixture(), normal(20, WIDTH), tensors(**shared), dtype=np.float64), EXACT)


def joined(made):
    """The same file with gate and up in one tensor."""
    gate, up = (made.pop(f"ffn_{name}_exps") for name in ("gate", "up"))
    count, rows, cols = gate.shape
    raw = np.concatenate([t.raw.reshape(count, rows, -1) for t in (gate, up)], 1)
    made["ffn_gate_up_exps"] = Rows("both", raw.reshape(2 * count * rows, -1), gate.type.name, (count, 2 * rows, cols))
    biases = [made.pop(f"ffn_{name}_exps.bias", None) for name in ("gate", "up")]
    if biases[0] is not None:
        made["ffn_gate_up_exps.bias"] = np.concatenate(biases, 1)
    return made


@pytest.mark.parametrize("how", [{"exact": True}, {"exact": False}, {"exact": False, "repack": False}], ids=str)
@pytest.mark.parametrize(("type", "ff"), [("F32", 52), ("Q8_0", 64), ("Q4_0", 160)])
def test_gate_and_up_in_one_tensor_give_what_they_give_apart(isa, type, ff, how):
    x = normal(30, WIDTH)
    apart, _ = both(mixture(), x, tensors(type, ff=ff, bias=True), **how)
    close(both(mixture(), x, joined(tensors(type, ff=ff, bias=True)), **how)[0], apart, 1e-14)


TYPES = ["F16", "BF16", "Q8_0", "Q4_0", "Q5_1", "MXFP4", "IQ4_NL", "Q4_K", "Q6_K", "Q2_K", "IQ2_XS", "IQ3_S", "TQ2_0"]


@pytest.mark.parametrize("repack", [True, False])
@pytest.mark.parametrize("type", TYPES)
def test_types(isa, type, repack):
    """Products of quantized experts differ by what 8 bits of an activation cost."""
    made = tensors(type, width=256, ff=512, bias=True)
    engine, twin = both(mixture(norm=True), normal(50, 256), made, exact=False, repack=repack)
    close(engine, twin, EIGHT_BIT)
    exact, _ = both(mixture(norm=True), normal(50, 256), made)
    close(exact, twin, EXACT)


@pytest.mark.parametrize("shape", [(32, 32, 1), (2048, 96, 4), (96, 1056, 4), (160, 224, 17), (33, 7, 3)], ids=str)
@pytest.mark.parametrize("type", ["F32", "Q8_0"])
def test_shapes(isa, type, shape):
    """More columns than a chunk has, rows that do not fill panels, one expert, more experts than tokens."""
    width, ff, count = shape
    if type != "F32" and width % 32:
        pytest.skip("blocks of 32")
    build = mixture(count=count, used=min(2, count))
    made = tensors(type, width, ff, count)
    for tokens in (1, 3, 150):
        engine, twin = both(build, normal(tokens, width), made, exact=type == "F32")
        close(engine, twin, EXACT if type == "F32" else EIGHT_BIT)


@pytest.mark.parametrize("how", [{"exact": True}, {"exact": False}, {"exact": False, "repack": False}], ids=str)
@pytest.mark.parametrize("type", ["Q4_0", "Q5_0", "Q6_K"])
def test_neither_threads_nor_steps_change_a_bit(isa, type, how):
    """Not even where many tokens of an expert share the unpacking of its codes (Q5_0 and Q6_K: with any vectors)."""
    made = tensors(type, bias=True) if type != "Q6_K" else tensors(type, 256, 256, bias=True)
    x = normal(100, made["ffn_up_exps"].shape[-1])
    one, _ = both(mixture(), x, made, **how)
    for n in (2, 3, 7):
        np.testing.assert_array_equal(both(mixture(), x, made, n_threads=n, **how)[0], one)
    for steps in ([1] * 100, [99, 1], [7, 64, 29]):
        np.testing.assert_array_equal(both(mixture(), x, made, n_threads=2, steps=steps, **how)[0], one)


@pytest.mark.parametrize(
    "types", [("Q8_0", "Q5_0", "MXFP4"), ("NVFP4", "Q5_0", "Q8_0"), ("Q5_0", "NVFP4", "NVFP4")], ids=str
)
def test_gate_up_and_down_may_be_of_different_types(isa, types):
    """Only some of which unpack codes for many tokens at once: NVFP4 does not."""
    made, x = tensors(width=128, bias=True), normal(100, 128)
    for i, (part, type) in enumerate(zip(("gate", "up", "down"), types, strict=True)):
        made[f"ffn_{part}_exps"] = matrix("", type, *made[f"ffn_{part}_exps"].shape, seed=i)
    many, twin = both(mixture(), x, made, exact=False)
    close(many, twin, EIGHT_BIT)
    np.testing.assert_array_equal(both(mixture(), x, made, exact=False, steps=[1] * 100)[0], many)


@pytest.mark.parametrize("end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize(("type", "how"), [
    ("F32", {"exact": True}), ("F16", {"exact": False}), ("Q4_0", {"exact": False}), ("Q8_0", {"exact": True}),
    ("Q5_0", {"exact": False}), ("Q4_0", {"exact": False, "repack": False}),
], ids=str)
def test_mixtures_stay_inside_their_memory(isa, type, how, end):
    """Weights, panels, buffers and every thread's scratch lie against pages nobody may touch."""
    ff = 52 if type == "F32" else 64
    for tokens in (1, 150):
        x, made = normal(tokens, WIDTH), tensors(type, ff=ff, bias=True)
        want, _ = both(mixture(), x, made, **how)
        one = OneLayer(mixture(), WIDTH, made, n_threads=2, **how)
        for tensor in one.tensors.values():
            copy = guarded(tensor.raw.nbytes, end).reshape(tensor.raw.shape)
            copy[...] = tensor.raw
            tensor.raw = copy
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(planner, "aligned", lambda n: guarded(4 * max(n, 1), end).view(np.float32))
            patch.setattr(one.store, "_address", functools.partial(held, one.store._arrays, end))
            session = one.session()
        np.testing.assert_array_equal(session.forward(x, every=True), want)


def held(arrays, end, name, array):
    """Like WeightStore._address, of a copy against a forbidden page."""
    arrays[name] = guarded(array.nbytes, end).reshape(array.shape)
    arrays[name][...] = array
    return arrays[name].ctypes.data


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_still_choose_experts_that_exist(isa, value):
    x = normal(5, WIDTH)
    x[2] = value
    for how in ({}, {"groups": 3, "groups_used": 2}, {"gating": "sigmoid", "norm": True}):
        session = OneLayer(mixture(**how), WIDTH, tensors()).session()
        with pytest.raises(ModelError, match="not finite"):
            session.forward(x, every=True)
        assert np.isfinite(session.forward(normal(5, WIDTH), every=True)).all()


@pytest.mark.parametrize(("name", "shape"), [
    ("ffn_gate_inp", (COUNT + 1, WIDTH)), ("ffn_gate_inp", (COUNT, WIDTH + 1)), ("exp_probs_b.bias", (COUNT - 1,)),
    ("ffn_up_exps", (COUNT + 1, FF, WIDTH)), ("ffn_up_exps", (COUNT, FF, WIDTH + 1)), ("ffn_up_exps", (FF, WIDTH)),
    ("ffn_gate_exps", (COUNT, FF + 1, WIDTH)), ("ffn_down_exps", (COUNT, WIDTH, FF + 1)),
    ("ffn_down_exps", (COUNT, WIDTH + 1, FF)), ("ffn_down_exps.bias", (COUNT, WIDTH + 1)),
    ("ffn_up_exps.bias", (FF,)), ("ffn_gate_up_exps", (COUNT, 2 * FF + 1, WIDTH)), ("ffn_gate_up_exps", (FF, WIDTH)),
    ("ffn_up_shexp", (FF, WIDTH + 1)), ("ffn_gate_inp_shexp", (2, WIDTH)), ("ffn_gate_inp_shexp", (WIDTH + 1,)),
])
def test_a_tensor_of_the_wrong_shape_is_refused_by_name(name, shape):
    shared = {"ffn_up_shexp": normal(FF, WIDTH), "ffn_gate_shexp": normal(FF, WIDTH)}
    shared["ffn_down_shexp"] = normal(WIDTH, FF)
    with pytest.raises(ModelError) as error:
        OneLayer(mixture(), WIDTH, tensors(**(shared | {name: normal(*shape)}))).session()
    named = {"ffn_gate_exps": ("ffn_gate_exps", "ffn_up_exps"), "ffn_up_exps": ("ffn_up_exps", "ffn_down_exps")}
    assert error.value.tensor.removesuffix(".weight") in named.get(name, (name,))
