"""Matrix products of every tensor type, with every instruction set, against float64 on the dequantized weights."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest

from llama_gguf import Model, cache, nn, planner
from llama_gguf.engine import panels as engine
from llama_gguf.gguf.types import BY_ID, TYPES
from llama_gguf.testing import random_matrix, tiny
from llama_gguf.testing.values import scale_blocks

from .guard import guarded
from .words import OneLayer, Rows, both, close, nmse

MATMUL = [name for name, kind in TYPES.items() if "matmul" in kind.roles]
PACKED = [BY_ID[i].name for i in engine.packed_types()]
ROWS = (1, 7, 8, 9, 15, 16, 17, 33)  # about the widths of panels: 8 and 16 rows
TOKENS = range(1, 20)  # all tails of register tiles

# Error of one result, in units of the lengths of its two vectors. A float32 rounds by 6e-8; 16 blocks of 32 columns
# are added one after the other. A minimum or an offset that is added apart (Q4_1, Q6_K ...) makes terms larger than
# the values, by as much as those of one sign are larger than those around zero.
SUM = 3e-7

# A hidden value next to a rounding edge may fall on its other side: one code, 1 / 127 of its block's largest value m.
# That is m**2 / 127**2 of the hidden row's square sum, 6e-5 / 60 where m**2 is a 60th of it. One such flip is allowed.
MLP = 1e-6


def weights(type, rows, cols=512, seed=0):
    """Rows of random codes, their scales near one, as a plausible file has them."""
    raw = random_matrix(type, rows, cols, np.random.default_rng([seed, rows, cols]))
    return Rows("w", raw.view(np.uint8), type, (rows, cols))


def activations(tokens, cols, seed=1):
    """Rows of very different size, one of zeros."""
    rng = np.random.default_rng([seed, tokens, cols])
    x = rng.standard_normal((tokens, cols)) * 10.0 ** rng.integers(-3, 3, (tokens, 1))
    x[tokens // 2] *= tokens < 3
    return x.astype(np.float32)


def eight_bits(x):
    """x as the engine rounds it for types with quantized activations: float64, blocks of 32 with one scale each."""
    blocks = x.reshape(len(x), -1, 32)
    top = abs(blocks).max(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        inverse = np.where(top > 0, np.float32(127) / top, np.float32(0))
    return (np.rint(blocks * inverse) * (top / np.float32(127)).astype(np.float64)).reshape(x.shape)


def quantized(type):
    """Do products with this type take 8-bit activations?"""
    return engine.packed_types().get(TYPES[type].id)


def expected(w, x, type, bias=0, exact=False):
    """What the engine calculates, in float64, and the lengths that its error is measured in."""
    return product_of(w, eight_bits(x) if quantized(type) and not exact else x.astype(np.float64), bias)


def product_of(w, x, bias=0):
    plain = w.numpy().astype(np.float64)
    lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(plain, axis=1)
    return x @ plain.T + bias, lengths + abs(bias)


def check(found, product, limit=SUM):
    """Every single result is close; rows of zeros are exactly zero."""
    want, lengths = product
    want, lengths = want[: len(found)], lengths[: len(found)]
    assert (found[lengths == 0] == 0).all()
    worst = float((abs(found - want)[lengths > 0] / lengths[lengths > 0]).max(initial=0))
    assert worst <= limit, f"off by {worst:.1e} of the vectors' lengths, allowed is {limit:.0e}"


def product(g, w, x):
    return w.w @ x


def test_every_matrix_type_of_the_format_has_panels():
    assert set(PACKED) == set(MATMUL)
    assert len(MATMUL) == 28


@pytest.mark.parametrize("type", MATMUL)
def test_product(isa, type):
    """Any number of rows, any number of tokens, with and without bias, relative to each row of tokens."""
    x = activations(max(TOKENS), 512)
    for rows in ROWS:
        w, bias = weights(type, rows), activations(1, rows)[0]
        for tensors, b in (({"w": w}, 0), ({"w": w, "w.bias": bias}, bias)):
            session = OneLayer(product, 512, tensors, exact=False).session()
            want = expected(w, x, type, b)
            for n in TOKENS if rows in (1, 17) else (1, 2, 5):
                found = session.forward(x[:n], every=True)
                session.reset()
                check(found, want)


@pytest.mark.parametrize("type", MATMUL)
def test_exact_product_takes_float_activations(isa, type):
    w, x = weights(type, 33), activations(5, 512)
    found, _ = both(product, x, {"w": w}, exact=True)
    check(found, expected(w, x, type, exact=True))


@pytest.mark.parametrize("type", PACKED)
def test_product_of_two_terms_has_sixteen_bits(isa, type):
    """The output head takes activations as two 8-bit rows, what the first leaves over in the second."""

    def build(g, w, x):
        return w.w.times(x, "y", terms=2)

    w, x = weights(type, 41), activations(max(TOKENS), 512)
    session = OneLayer(build, 512, {"w": w}, exact=False).session()
    rounded = eight_bits(x) + eight_bits(x - eight_bits(x).astype(np.float32))
    assert nmse(rounded, x) < 1e-9
    want = product_of(w, rounded if quantized(type) else x.astype(np.float64))
    for n in TOKENS:
        check(session.forward(x[:n], every=True), want)
        session.reset()


@pytest.mark.parametrize(("act", "width"), [("silu", 256), ("gelu", 256), ("silu", 1280)])
@pytest.mark.parametrize("type", PACKED)
def test_gated_mlp(isa, type, act, width):
    """Both products, activation and 8-bit rounding in one record, where all weights are packed."""
    ff = 512
    names = {"ffn_gate": (ff, width), "ffn_up": (ff, width), "ffn_down": (width, ff)}
    tensors = {n: weights(type, *shape, seed=i) for i, (n, shape) in enumerate(names.items())}
    x = np.random.default_rng(0).standard_normal((19, width)).astype(np.float32)

    def build(g, w, x):
        return nn.gated_mlp(w, x, getattr(nn, act))

    round8 = eight_bits if quantized(type) else lambda x: x.astype(np.float64)
    gate, up = (round8(x) @ tensors[n].numpy().astype(np.float64).T for n in ("ffn_gate", "ffn_up"))
    half = gate / (1 + np.exp(-gate))
    if act == "gelu":
        half = 0.5 * gate * (1 + np.tanh(0.7978845608 * (gate + 0.044715 * gate**3)))
    want = round8((half * up).astype(np.float32)) @ tensors["ffn_down"].numpy().astype(np.float64).T
    for options in ({}, {"n_threads": 2, "steps": [1, 2, 16]}, {"repack": False}, {"visible": 64}):
        found, _ = both(build, x, tensors, exact=False, n_ctx=64, **options)
        close(found, want, MLP if quantized(type) else 1e-11)


@pytest.mark.parametrize("type", PACKED)
@pytest.mark.parametrize("blocks", [1, 3, 5])
def test_any_number_of_blocks(isa, type, blocks):
    cols = blocks * TYPES[type].block
    w, x = weights(type, 17, cols), activations(3, cols)
    found, _ = both(product, x, {"w": w}, exact=False)
    check(found, expected(w, x, type))


@pytest.mark.parametrize("type", PACKED)
def test_wide_rows_are_multiplied_in_chunks(isa, type):
    """Chunks of 1024 columns, the last one smaller; few and many tokens, packed or not: the same bits."""
    cols, x = 2304, activations(19, 2304)
    tensors = {"w": weights(type, 41, cols), "w.bias": activations(1, 41)[0]}
    want = expected(tensors["w"], x, type, tensors["w.bias"])
    found, _ = both(product, x, tensors, exact=False)
    check(found, want)
    mapped, _ = both(product, x, tensors, exact=False, repack=False)
    np.testing.assert_array_equal(found, mapped)
    one = OneLayer(product, cols, tensors, exact=False)
    alone = np.concatenate([one.session().forward(x[t : t + 1], every=True) for t in range(19)])
    np.testing.assert_array_equal(found, alone)


def extremes(tokens, cols=512):
    """Activations that all become 127 or -127: of one sign, of the other, and signs of which pair sums make most."""
    x = np.ones((tokens, cols), np.float32)
    x[1::3] = -1
    x[2::3] = np.where(np.arange(cols) // 2 % 2, -1, 1)
    return x


@pytest.mark.parametrize("type", PACKED)
def test_extreme_codes_do_not_overflow(isa, type):
    """All bits set or none against activations of one sign: the largest sums of codes there are; few tokens, many."""
    signs = extremes(18)
    if TYPES[type].is_quantized:
        scales = weights(type, 40).raw.copy()
        for fill in (0xFF, 0x00, 0x7F, 0x80, 0x77):  # 0x77: the largest E2M1 numbers
            raw = np.full_like(scales, fill).reshape(40, -1, TYPES[type].bytes)
            scale_blocks(type, raw, 0.01)
            w = Rows("w", raw.reshape(40, -1), type, (40, 512))
            for x in (signs, signs[:8], signs[:3]):
                found, _ = both(product, x, {"w": w}, exact=False)
                check(found, expected(w, x, type))


@pytest.mark.parametrize("type", MATMUL)
def test_repacked_or_not_is_the_same_bit_for_bit(isa, type):
    w, x = weights(type, 33), activations(19, 512)
    packed, _ = both(product, x, {"w": w}, exact=False, repack=True)
    mapped, _ = both(product, x, {"w": w}, exact=False, repack=False)
    np.testing.assert_array_equal(packed, mapped)


@pytest.mark.parametrize("type", PACKED)
def test_a_token_is_multiplied_alike_in_any_company(isa, type):
    """Register tiles of 1, 2, 4 ... tokens give the same bits, and so do panels unpacked for many."""
    x = activations(19, 512)
    one = OneLayer(product, 512, {"w": weights(type, 77)}, exact=False)
    together = one.session().forward(x, every=True)
    alone = np.concatenate([one.session().forward(x[t : t + 1], every=True) for t in range(19)])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("type", PACKED)
def test_threads_do_not_change_a_bit(isa, type):
    w, x = weights(type, 33), activations(19, 512)
    one, _ = both(product, x, {"w": w}, exact=False, n_threads=1)
    for n in (2, 3, 5):
        more, _ = both(product, x, {"w": w}, exact=False, n_threads=n)
        np.testing.assert_array_equal(one, more)


@pytest.mark.parametrize("end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("repack", [True, False], ids=["packed", "mapped"])
@pytest.mark.parametrize("type", MATMUL)
def test_products_stay_inside_their_memory(isa, type, repack, end):
    """Weights, panels, activations and results lie against pages nobody may touch."""

    def held(array):
        copy = guarded(array.nbytes, end).view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    for rows, tokens in ((1, 1), (17, 5), (33, 17)):
        w, x = weights(type, rows), held(activations(tokens, 512))
        w.raw = held(w.raw)
        one = OneLayer(product, 512, {"w": w}, exact=False, repack=repack)
        binding = list(one.store.binding(w))
        panels = held(one.store._arrays["w.weight"])
        binding[0] = panels.ctypes.data
        one.store._bindings["w.weight"] = tuple(binding)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(planner, "aligned", functools.partial(guarded_floats, end=end))
            session = one.session()
        out = held(np.zeros((tokens, rows), np.float32))
        n, wanted, runs, residual = session.prepare(session.planned, x, [0] * tokens, range(tokens))
        session.planned.plan.run(n, wanted, runs, out, residual)
        check(out, expected(w, x, type))


def guarded_floats(n, end):
    return guarded(4 * max(n, 1), end).view(np.float32)


@pytest.mark.parametrize("end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("kv_type", cache.KV_TYPES)
def test_a_whole_pass_stays_inside_its_memory(isa, kv_type, end, tmp_path):
    """All buffers of a plan and its cache lie against pages nobody may touch."""
    def room(self, spec):
        return [guarded(size, end) for size in self.sizes(spec)]

    path = tiny(tmp_path / "t.gguf", layers=1, width=96, heads=4, kv_heads=2, head_dim=20, ff=100)
    ids = list(range(70))
    with Model(path, n_threads=2) as model:
        want = model.session(128, kv_type=kv_type).forward(ids, every=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(planner, "aligned", functools.partial(guarded_floats, end=end))
            patch.setattr(cache.KVCache, "_room", room)
            session = model.session(128, kv_type=kv_type)
            visible = session.build(visible=True, keys=80)
        np.testing.assert_array_equal(session.forward(ids, every=True), want)
        session.truncate(0, 30)
        for i in range(30, 70):
            session.forward(ids[i : i + 1])
        session.reset()
        session.planned = visible
        close(session.forward(ids, every=True), want, 1e-10)


@pytest.mark.parametrize("kv_type", cache.KV_TYPES)
def test_windowed_attention_stays_inside_its_memory(isa, kv_type, monkeypatch):
    """The windows of a tile's last tokens begin behind the page where the first token's does."""
    def attend(g, w, x):
        return nn.attend(x, x, x, SimpleNamespace(**h), 1, window=63)

    h = {"heads": 2, "kv_heads": 2, "head_dim": 16, "value_dim": 16, "attention_scale": 0.25}
    monkeypatch.setattr(planner, "aligned", functools.partial(guarded_floats, end=True))
    x = np.random.default_rng(0).standard_normal((200, 32)).astype(np.float32)
    found, twin = both(attend, x, kv_type=kv_type, n_threads=2, n_ctx=256, steps=[90, 90, 20], **h)
    close(found, twin, {"Q8_0": 1e-4, "Q4_0": 2e-2}.get(kv_type, 1e-6))
