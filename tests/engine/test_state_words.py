"""Words of recurrent layers give what their NumPy twins give, in steps of any length and at any width."""

import numpy as np
import pytest

from llama_gguf import ModelError, nn

from .words import both, close

EXACT = 1e-12


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


@pytest.fixture(params=[None, [11] * 1 + [1] * 9, [1, 2, 3, 4, 10]], ids=["at once", "decoding", "pieces"])
def steps(request):
    return request.param


@pytest.mark.parametrize(("heads", "widths"), [(1, (5, 7, 1)), (3, (4, 4)), (2, (16, 1, 3))])
def test_split_heads(isa, heads, widths):
    x = normal(9, heads * sum(widths))
    for i in range(len(widths)):
        found, twin = both(lambda g, w, x, i=i: nn.split_heads(x, heads, *widths)[i], x)
        np.testing.assert_array_equal(found, twin)
        at = sum(widths[:i])
        np.testing.assert_array_equal(found, x.reshape(9, heads, -1)[..., at : at + widths[i]].reshape(9, -1))


def test_parts_must_make_whole_heads():
    with pytest.raises(ModelError, match="9 values"):
        both(lambda g, w, x: nn.split_heads(x, 2, 2, 2)[0], normal(2, 9))


@pytest.mark.parametrize("width", [1, 15, 32, 33, 100])
@pytest.mark.parametrize("bias", [False, True])
def test_softplus(isa, width, bias):
    tensors = {"b.bias": normal(width, seed=1)} if bias else {}
    build = (lambda g, w, x: nn.softplus(x, w["b.bias"])) if bias else lambda g, w, x: nn.softplus(x)
    close(*both(build, 4 * normal(5, width), tensors, dtype=np.float64), EXACT)


def test_softplus_and_sigmoid_keep_their_limits(isa):
    """Both vanish like e**x; softplus becomes x, sigmoid 1."""
    x = np.array([[-1e4, -80, -30, -20, -3, -1e-6, 0, 1e-6, 0.5, 3, 15, 20, 80, 1e4, 1e30]], np.float32)
    for word in (nn.softplus, nn.sigmoid):
        found, twin = both(lambda g, w, x, word=word: word(x), x, dtype=np.float64)
        assert (abs(found - twin) <= 5e-7 * abs(twin) + 2e-38).all(), (found, twin)


@pytest.mark.parametrize(("heads", "size"), [(1, 64), (3, 20), (5, 7), (2, 1)])
def test_l2_norm(isa, heads, size):
    found, twin = both(lambda g, w, x: nn.l2_norm(x, heads, 1e-6), 100 * normal(9, heads * size), dtype=np.float64)
    close(found, twin, EXACT)
    np.testing.assert_allclose((found.reshape(9, heads, size) ** 2).sum(-1), 1, rtol=1e-4)


@pytest.mark.parametrize(("width", "taps"), [(64, 4), (33, 3), (7, 2), (100, 1), (40, 9)])
@pytest.mark.parametrize("act", [False, True])
def test_conv(isa, width, taps, act, steps):
    tensors = {"c": normal(width, taps), "c.bias": normal(width)}

    def build(g, w, x):
        y = nn.conv(x, w.c, taps)
        return nn.silu(y) if act else y

    close(*both(build, normal(20, width), tensors, steps=steps, dtype=np.float64), EXACT)


def test_a_convolution_needs_its_taps():
    with pytest.raises(ModelError, match=r"\(8, 4\)"):
        both(lambda g, w, x: nn.conv(x, w.c, 4), normal(3, 8), {"c": normal(8, 3)})


def scanned(heads, size, groups, state, steps, **model):
    """Rows hold x, steps, b and c."""
    channels, shared = heads * size, groups * state
    each = size == 1
    tensors = {"a": -abs(normal(heads, state if each else 1)), "d": normal(heads)}

    def build(g, w, x):
        x, dt, b, c = nn.split(x, channels, heads, shared, shared)
        return nn.scan(x, nn.softplus(dt), b, c, w.a, w.d, heads=heads, groups=groups)

    rows = normal(20, channels + heads + 2 * shared)
    return both(build, rows, tensors, steps=steps, dtype=np.float64, **model)


@pytest.mark.parametrize(("channels", "state"), [(64, 16), (33, 5), (1, 1), (100, 16)])
def test_a_scan_with_a_rate_for_each_number(isa, channels, state, steps):
    close(*scanned(channels, 1, 1, state, steps), EXACT)


@pytest.mark.parametrize(("heads", "size", "groups", "state"), [
    (4, 32, 1, 16), (4, 64, 2, 24), (6, 20, 3, 5), (2, 80, 2, 128), (3, 7, 1, 1),
])
def test_a_scan_by_heads(isa, heads, size, groups, state, steps):
    close(*scanned(heads, size, groups, state, steps), EXACT)


def mapped(heads, groups, key, value, steps, **model):
    """Rows hold queries, keys, values, steps and betas."""
    tensors = {"a": -abs(normal(heads))}

    def build(g, w, x):
        q, k, v, dt, beta = nn.split(x, groups * key, groups * key, heads * value, heads, heads)
        q, k = nn.l2_norm(q, groups, 1e-6), nn.l2_norm(k, groups, 1e-6)
        return nn.delta_rule(q, k, v, nn.softplus(dt), nn.sigmoid(beta), w.a, heads=heads, groups=groups)

    rows = normal(20, 2 * groups * key + heads * (value + 2))
    return both(build, rows, tensors, steps=steps, dtype=np.float64, **model)


@pytest.mark.parametrize(("heads", "groups", "key", "value"), [
    (2, 2, 32, 32), (6, 2, 16, 16), (4, 1, 5, 20), (3, 3, 128, 40), (2, 1, 1, 7),
])
def test_a_delta_rule(isa, heads, groups, key, value, steps):
    close(*mapped(heads, groups, key, value, steps), 10 * EXACT)  # what a key is mapped to, less the value: cancels


@pytest.mark.parametrize(("word", "sizes"), [
    ("scanned", (70, 1, 1, 16)), ("scanned", (5, 40, 1, 16)), ("mapped", (3, 1, 16, 40)),
])
def test_the_number_of_threads_does_not_change_a_bit(isa, word, sizes):
    one, three = (globals()[word](*sizes, None, n_threads=n)[0] for n in (1, 3))
    np.testing.assert_array_equal(three, one)


def test_values_that_do_not_fit_are_refused():
    """By the tensor whose shape does not suit, or that made the value."""
    def build(g, w, x):
        x, dt, b, c = nn.split(x, 4, 4, 12, 12)
        return nn.scan(x, dt, b, c, w.a, w.d, heads=4)

    right = {"a": normal(4, 12), "d": normal(4)}
    both(build, normal(2, 32), right)
    for name, shape in (("a", (4, 11)), ("d", (5,))):
        with pytest.raises(ModelError, match=f"{name}.weight has shape"):
            both(build, normal(2, 32), right | {name: normal(*shape)})
