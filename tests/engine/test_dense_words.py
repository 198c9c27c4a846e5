"""Words of dense models equal their twins: layer norms, activations, views, positions, fused matrices."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from llama_gguf import nn
from llama_gguf.errors import ContextOverflow, ModelError
from llama_gguf.rope import Rope

from .test_words import EXACT, normal, ropes
from .words import OneLayer, both, close

SHAPES = [(1, 64), (1, 65), (1, 7), (1, 1), (4, 16), (3, 20), (5, 7), (2, 80)]


@pytest.mark.parametrize(("heads", "size"), SHAPES)
@pytest.mark.parametrize("given", ["nothing", "gain", "gain and bias", "gain of each head"])
@pytest.mark.parametrize("word", [nn.layer_norm, nn.rms_norm])
def test_norms(isa, word, heads, size, given):
    if (word is nn.rms_norm and "bias" in given) or ("each" in given and heads == 1):
        return
    tensors = {"gain": normal(heads, size) if "each" in given else normal(size)} if "gain" in given else {}
    tensors |= {"gain.bias": normal(size, seed=1)} if "bias" in given else {}
    x = normal(9, heads * size) + np.float32(0 if word is nn.rms_norm else 3)
    limit = EXACT if size > 1 or word is nn.rms_norm else 1e-9  # of one value nothing is left but rounding
    build = lambda g, w, x: word(x, w.gain if tensors else None, heads)  # noqa: E731
    engine, twin = both(build, x, tensors, dtype=np.float64)
    if size == 1 and word is nn.layer_norm:
        np.testing.assert_allclose(engine, twin, atol=1e-4)
    else:
        close(engine, twin, limit)


def test_a_norm_of_the_wrong_shape_is_refused():
    for shape in [(15,), (64,), (3, 16), (16, 4), (4, 16, 1)]:
        with pytest.raises(ModelError, match="gain.weight"):
            both(lambda g, w, x: nn.layer_norm(x, w.gain, 4), normal(2, 64), {"gain": np.ones(shape)})


ACTS = {
    "gelu_erf": nn.gelu_erf,
    "gelu_quick": nn.gelu_quick,
    "relu": nn.relu,
    "relu_squared": nn.relu_squared,
    "xielu": lambda x: nn.xielu(x, 0.9, 0.7, 0.5, -1e-6),
    "softcap": lambda x: nn.softcap(x, 2.5),
    "clamp": lambda x: nn.clamp(x, -0.5, 1.25),
    "sigmoid": nn.sigmoid,
    "tanh": nn.tanh,
}


@pytest.mark.parametrize("width", [1, 15, 17, 96, 100])
@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("gated", [False, True])
def test_activations(isa, name, width, gated):
    word = ACTS[name]
    build = lambda g, w, x: word(x) * nn.rms_norm(x, w.gain) if gated else word(x)  # noqa: E731
    close(*both(build, 3 * normal(5, width), {"gain": normal(width)}, dtype=np.float64), EXACT)


@pytest.mark.parametrize("name", ACTS)
def test_activations_keep_their_limits(isa, name):
    """Large arguments pass or vanish; small ones keep their digits; nothing becomes NaN."""
    sizes = np.float32(10.0) ** np.arange(-30, 15, dtype=np.float32)
    x = np.concatenate([-sizes[::-1], [0], sizes]).astype(np.float32)[None]
    engine, twin = both(lambda g, w, x: ACTS[name](x), x, dtype=np.float64)
    assert np.isfinite(engine).all()
    assert (abs(engine - twin) <= 1e-6 * abs(twin) + 1e-37 * abs(x)).all(), np.stack([x, engine, twin])


def test_the_exact_gelu_is_good_to_its_last_digits(isa):
    x = np.linspace(-9, 9, 3000, dtype=np.float32)[None]
    engine, _ = both(lambda g, w, x: nn.gelu_erf(x), x)
    want = np.array([[v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x[0].tolist()]])
    assert (abs(engine - want) <= 2e-6 * abs(want)).all()


@pytest.mark.parametrize("visible", [0, 64])
@pytest.mark.parametrize("widths", [(40, 24), (7, 1, 56), (64,), (31, 33)])
def test_views_of_columns(isa, widths, visible):
    """Read by products (float and 8-bit), norms, elementwise words, and views of views."""
    n = sum(widths)
    tensors = {f"m{i}": normal(n, width) for i, width in enumerate(widths)} | {"all": normal(n, n)}

    def build(g, w, x):
        y = w.all @ x
        total = nn.silu(y)
        for i, part in enumerate(nn.split(y, *widths)):
            total = total + getattr(w, f"m{i}") @ nn.part(nn.silu(part), 0, part.width)
            half = nn.part(part, part.width // 2, part.width - part.width // 2)
            total = total + getattr(w, f"m{i}") @ nn.part(y, n - part.width, part.width)
            total = total * nn.part(y, 0, n) + nn.part(y, 0, n)
            if half.width == n:
                total = total + half
        return total

    close(*both(build, normal(9, n), tensors, visible=visible, dtype=np.float64), EXACT)


def test_a_view_is_no_copy():
    one = OneLayer(lambda g, w, x: nn.silu(nn.part(nn.silu(x), 5, 20)), 40, {})
    kinds = [t.kind for t in one.session().planned.tasks]
    assert kinds.count("copy") == 1 and "part" not in kinds


def test_views_must_lie_within():
    with pytest.raises(ValueError, match="columns"):
        both(lambda g, w, x: nn.part(x, 30, 20), normal(2, 40))
    with pytest.raises(ValueError, match="make up"):
        both(lambda g, w, x: nn.split(x, 30, 20)[0], normal(2, 40))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("biases", ["none", "one", "each"])
def test_fused_matrices_equal_separate_ones(isa, exact, biases):
    """q, k, v in one matrix, gate and up in another; a bias for all rows or for each part."""
    sizes, width, ff = {"attn_q": 64, "attn_k": 32, "attn_v": 32}, 64, 96
    parts = {name: normal(n, width, seed=n) / 8 for name, n in sizes.items()}
    vectors = {f"{name}.bias": normal(n, seed=3) for name, n in sizes.items()} if biases != "none" else {}
    gate, up, down = normal(ff, width) / 8, normal(ff, width, seed=1) / 8, normal(width, ff) / 8
    rest = {"attn_output": normal(width, 64) / 8, "ffn_down": down}
    h = {"heads": 4, "kv_heads": 2, "head_dim": 16, "value_dim": 16, "attention_scale": 0.25, "rope": None}

    def build(g, w, x):
        x = x + nn.attention(w, x, SimpleNamespace(**h), 1)
        return x + nn.gated_mlp(w, x, nn.silu)

    fused = {"attn_qkv": np.concatenate(list(parts.values())), "ffn_up": np.concatenate([gate, up])}
    if biases == "one":
        fused["attn_qkv.bias"] = np.concatenate(list(vectors.values()))
    elif biases == "each":
        fused |= vectors
    a, twin = both(build, normal(9, width), fused | rest, exact=exact, **h)
    b, _ = both(build, normal(9, width), {"ffn_gate": gate, "ffn_up": up} | parts | vectors | rest, exact=exact, **h)
    np.testing.assert_array_equal(a, b)
    close(a, twin, 1e-11)


def test_a_fused_matrix_of_other_rows_is_refused():
    h = SimpleNamespace(heads=4, kv_heads=2, head_dim=16, value_dim=16, attention_scale=1.0, rope=None)
    with pytest.raises(ModelError, match=r"attn_qkv.weight.*100 rows"):
        both(lambda g, w, x: nn.attention(w, x, h, 1), normal(2, 64), {"attn_qkv": normal(100, 64)})


@pytest.mark.parametrize("word", [nn.gelu, nn.gelu_erf, nn.relu_squared])
@pytest.mark.parametrize("bias", [False, True])
def test_plain_networks(isa, word, bias):
    tensors = {"ffn_up": normal(50, 40), "ffn_down": normal(40, 50)}
    tensors |= {"ffn_up.bias": normal(50, seed=1), "ffn_down.bias": normal(40, seed=1)} if bias else {}
    close(*both(lambda g, w, x: nn.mlp(w, x, word), normal(7, 40) / 6, tensors, dtype=np.float64), EXACT)


def test_learned_positions(isa):
    """Each position has its row, in one step or several; there are no more positions than rows."""
    tensors = {"position_embd": normal(33, 24)}
    build = lambda g, w, x: nn.learned_positions(w, x)  # noqa: E731
    for steps in ([33], [20, 1, 12]):
        engine, twin = both(build, normal(33, 24), tensors, steps=steps, n_ctx=33)
        np.testing.assert_array_equal(engine, twin)
    one = OneLayer(build, 24, tensors, n_ctx=34)
    with pytest.raises(ModelError, match="33 positions"):
        one.session()
    with pytest.raises(ContextOverflow):
        one.session(n_ctx=33).forward(normal(34, 24))


@pytest.mark.parametrize("offset", [0, 1])
def test_queries_grow_with_their_position(isa, offset):
    engine, twin = both(lambda g, w, x: nn.temper(x, 0.3, 10, offset), np.ones((70, 40), np.float32), steps=[40, 1, 29])
    close(engine, twin, EXACT)
    assert engine[9 - offset, 0] == 1 < engine[10 - offset, 0] < engine[69, 0]


LONG = {"short": tuple(np.linspace(1, 2, 8)), "long": tuple(np.linspace(3, 9, 8)), "original_context": 64}


def test_longrope_takes_its_factors_by_the_length_of_the_context(isa):
    x = normal(30, 32)
    found = {n: both(lambda g, w, x: ropes(g, x, "neox", 16, 2, scaling="longrope", **LONG), x, n_ctx=n)
             for n in (64, 65)}
    plain = {n: both(lambda g, w, x: ropes(g, x, "neox", 16, 2, divisors=LONG[name]), x)
             for n, name in ((64, "short"), (65, "long"))}
    for n in (64, 65):
        np.testing.assert_array_equal(found[n][0], plain[n][0])
    assert not np.array_equal(found[64][0], found[65][0])


def test_yarn_may_count_in_part():
    """Its ramp, times a factor: 0 leaves nothing but slower positions."""
    yarn = {"scaling": "yarn", "factor": 4.0, "original_context": 64}
    none = Rope("neox", 16, 1e4, **yarn, extrapolated=0.0)
    np.testing.assert_allclose(none.frequencies(), Rope("neox", 16, 1e4, scaling="linear", factor=4.0).frequencies())
    assert none.magnitude == 1.0 < Rope("neox", 16, 1e4, **yarn).magnitude
