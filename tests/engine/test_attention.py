"""Attention over the KV cache equals its NumPy twin: head shapes, groups, windows, borders of pages and parts."""

from types import SimpleNamespace

import numpy as np
import pytest

from llama_gguf import nn
from llama_gguf.cache import KV_TYPES
from llama_gguf.errors import ContextOverflow, ModelError
from llama_gguf.hparams import Rope

from . import cached
from .words import OneLayer, Twin, both, close

EXACT = 1e-11  # float32 sums of up to 700 terms in another order
WIDTH = 24  # of the rows that queries, keys and values are made of

# The twin, in double precision, rounds keys and values as the cache does. They are sums that float32 holds without
# rounding, and so are their Hadamard transforms: both sides round the same numbers, to the same codes.


def layer(heads, kv_heads, k_dim, v_dim=None, seed=0):
    """Tensors and hyperparameters of one attention layer; scores are of size 3, so that patterns are uneven."""
    v_dim, rng = v_dim or k_dim, np.random.default_rng([seed, heads, kv_heads, k_dim])
    shapes = {"q": heads * k_dim, "k": kv_heads * k_dim, "v": kv_heads * v_dim}
    tensors = {n: rng.integers(-50, 50, (size, WIDTH)) / 128 for n, size in shapes.items()}
    h = {"heads": heads, "kv_heads": kv_heads, "head_dim": k_dim, "value_dim": v_dim}
    return tensors, h | {"attention_scale": 3 * k_dim**-0.5}


def rows(n, seed=0):
    """Input of n positions: multiples of 1 / 64."""
    return np.random.default_rng([seed, n]).integers(-128, 128, (n, WIDTH)).astype(np.float32) / 64


def attending(h, window=0):
    h = SimpleNamespace(**h)
    return lambda g, w, x: nn.attend(w.q @ x, w.k @ x, w.v @ x, h, 1, window=window)


def attend(n, heads=4, kv_heads=2, k_dim=16, v_dim=None, window=0, kv_type="F32", **how):
    """(engine, twin) over n positions."""
    tensors, h = layer(heads, kv_heads, k_dim, v_dim)
    x = rows(n)
    edits = cached.edits(kv_type, k_dim, v_dim or k_dim)
    return both(attending(h, window), x, tensors, kv_type=kv_type, edits=edits, dtype=np.float64, **h, **how)


def in_steps(n, size):
    return [min(size, n - at) for at in range(0, n, size)]


@pytest.mark.parametrize("kv_type", KV_TYPES)
@pytest.mark.parametrize("dim", [1, 7, 8, 16, 20, 32, 64, 80, 96, 128, 192, 256])
def test_head_dimensions(isa, dim, kv_type):
    """Multiples of the vector width or not; a prompt (70 at once), then decoding."""
    for steps in ([70], [70, 1, 1, 3]):
        close(*attend(sum(steps), k_dim=dim, kv_type=kv_type, steps=steps), EXACT)


@pytest.mark.parametrize("kv_type", KV_TYPES)
@pytest.mark.parametrize(("k_dim", "v_dim"), [(16, 32), (48, 16), (20, 12), (24, 7), (192, 128), (512, 512)])
def test_values_may_be_wider_or_narrower_than_keys(isa, k_dim, v_dim, kv_type):
    close(*attend(40, k_dim=k_dim, v_dim=v_dim, kv_type=kv_type, steps=[37, 1, 1, 1]), EXACT)


@pytest.mark.parametrize("kv_type", KV_TYPES)
@pytest.mark.parametrize("group", [1, 2, 3, 4, 5, 6, 7, 8, 9, 33, 71])
def test_query_groups(isa, group, kv_type):
    """Any number of queries a key head, also more than one unit of work holds (32)."""
    for kv_heads in (1, 3):
        found = attend(35, heads=group * kv_heads, kv_heads=kv_heads, k_dim=8, kv_type=kv_type, steps=[33, 1, 1])
        close(*found, EXACT)


@pytest.mark.parametrize("kv_type", KV_TYPES)
@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 257, 700])
def test_context_lengths(isa, n, kv_type):
    """Pages hold 64 positions, parts of split attention 128, tiles of keys 16."""
    whole, twin = attend(n, kv_type=kv_type)
    close(whole, twin, EXACT)
    rest = min(n, 20)
    steps = [*in_steps(n - rest, 250), *[1] * rest]
    close(attend(n, kv_type=kv_type, steps=steps)[0], twin, EXACT)


@pytest.mark.parametrize(("dim", "turned"), [(16, 16), (20, 20), (64, 64), (32, 8), (7, 4)])
@pytest.mark.parametrize("kind", ["norm", "neox"])
@pytest.mark.parametrize("visible", [0, 96])
def test_rotated_queries_and_keys(isa, kind, dim, turned, visible):
    """Keys are rotated as they are stored, where nobody else reads them."""
    tensors, h = layer(4, 2, dim)
    h["rope"] = Rope(kind, turned, 10000.0)

    def build(g, w, x):
        s = SimpleNamespace(**h)
        return nn.attend(nn.rope(w.q @ x, s, 4), nn.rope(w.k @ x, s, 2), w.v @ x, s, 1)

    for steps in ([90], [70, 1, 1, 18]):
        close(*both(build, rows(90), tensors, steps=steps, visible=visible, **h), EXACT)


@pytest.mark.parametrize("size", [2, 16, 17, 31, 64, 100])
def test_any_size_of_steps_gives_the_same(isa, size):
    """Steps of up to 16 tokens split attention by position, larger ones do not."""
    close(*attend(300, steps=in_steps(300, size)), EXACT)


@pytest.mark.parametrize("window", [1, 2, 16, 63, 64, 65, 100, 128, 200, 511])
@pytest.mark.parametrize("size", [1, 16, 90, 700])
def test_windows(isa, window, size):
    """A windowed layer keeps a ring of pages; it wraps several times in 700 positions."""
    n = 700 if size > 1 else 330
    if size == 1:
        close(*attend(n, window=window, steps=[200, *[1] * (n - 200)]), EXACT)
    else:
        close(*attend(n, window=window, steps=in_steps(n, size)), EXACT)


@pytest.mark.parametrize("kv_type", ["Q8_0", "Q4_0"])
@pytest.mark.parametrize("window", [1, 63, 65, 200])
def test_windows_of_quantized_caches(isa, window, kv_type):
    for size in (16, 90):
        close(*attend(500, k_dim=40, window=window, kv_type=kv_type, steps=in_steps(500, size)), EXACT)


ERRORS = {"Q8_0": 1e-4, "Q4_0": 2e-2}
"""A step of top / 127 or top / 8 makes a mean square error of step**2 / 12; top is 2 to 3 times the values' size."""


@pytest.mark.parametrize("kv_type", ERRORS)
@pytest.mark.parametrize("visible", [0, 96])
def test_rotated_keys_in_quantized_caches(isa, visible, kv_type):
    """RoPE comes before the cache's own transform; sums are no longer exact, so codes differ here and there."""
    tensors, h = layer(4, 2, 64)
    h |= {"rope": Rope("neox", 64, 10000.0), "attention_scale": 1 / 8}

    def build(g, w, x):
        s = SimpleNamespace(**h)
        return nn.attend(nn.rope(w.q @ x, s, 4), nn.rope(w.k @ x, s, 2), w.v @ x, s, 1)

    for steps in ([90], [70, 1, 1, 18]):
        close(*both(build, rows(90), tensors, steps=steps, visible=visible, kv_type=kv_type, **h), ERRORS[kv_type])


@pytest.mark.parametrize("kv_type", KV_TYPES)
@pytest.mark.parametrize("dim", [7, 64, 80])
def test_a_prompt_and_single_tokens_give_the_same_bits(isa, dim, kv_type):
    """In the cache; and in what comes out, as far as attention is not split by position (128)."""
    tensors, h = layer(6, 2, dim)
    h["rope"] = Rope("norm", dim // 2 * 2, 10000.0)
    x, memories, outputs = rows(150, 6) * np.float32(0.3), [], []

    def build(g, w, x):
        s = SimpleNamespace(**h)
        return nn.attend(nn.rope(w.q @ x, s, 6), nn.rope(w.k @ x, s, 2), w.v @ x, s, 1)

    for steps, threads in (([150], 1), ([150], 3), ([1] * 150, 1), (in_steps(150, 17), 2)):
        session = OneLayer(build, WIDTH, tensors, n_ctx=200, n_threads=threads, **h).session(kv_type=kv_type)
        found = [session.forward(x[len(session) : len(session) + n], every=True) for n in steps]
        outputs.append(np.concatenate(found)[:128])
        memories.append(np.concatenate(session.cache._memory[1]))
    assert memories[0].any()
    for memory, output in zip(memories[1:], outputs[1:], strict=True):
        np.testing.assert_array_equal(memory, memories[0])
        np.testing.assert_array_equal(output, outputs[0])


@pytest.mark.parametrize("kv_type", ["Q8_0", "Q4_0"])
def test_scales_of_any_size(isa, kv_type):
    """Heads of zeros, of tiny numbers and of huge ones, beside each other."""
    tensors, h = layer(4, 4, 32)
    size = np.repeat([1.0, 0.0, 2.0**-10, 2.0**10], 32)[:, None]
    tensors["v"] = tensors["v"] * size
    tensors["k"] = tensors["k"] / np.maximum(size, 2.0**-10)
    tensors["q"] = tensors["q"] * np.maximum(size, 2.0**-10)  # scores keep their size
    x = rows(80, 7)
    edits = cached.edits(kv_type, 32, 32)
    engine, twin = both(attending(h), x, tensors, kv_type=kv_type, edits=edits, dtype=np.float64, **h)
    assert (engine[:, 32:64] == 0).all()
    for at in (0, 64, 96):
        close(engine[:, at : at + 32], twin[:, at : at + 32], EXACT)


@pytest.mark.parametrize("kv_type", ["Q8_0", "Q4_0"])
def test_the_twins_round_as_gguf_py_does_or_better(kv_type):
    quants = pytest.importorskip("gguf.quants")
    kind = pytest.importorskip("gguf").GGMLQuantizationType[kv_type]
    x = np.random.default_rng(0).standard_normal((2000, 32)).astype(np.float32)
    x[1], x[2, 5] = 0, 1000
    want, found = quants.dequantize(quants.quantize(x, kind), kind), cached.ROUNDS[kv_type](x)
    if kv_type == "Q8_0":
        np.testing.assert_allclose(found, want, rtol=1e-6)
    else:
        theirs, ours = (((y - x) ** 2).sum(-1) for y in (want, found))
        assert (ours <= theirs * 1.001).all()  # scales are rounded to halves
        assert ours[3:].mean() < 0.94 * theirs[3:].mean()


@pytest.mark.parametrize("window", [0, 40])
@pytest.mark.parametrize("n", [1, 5, 64, 130])
@pytest.mark.parametrize("kv_type", KV_TYPES)
def test_attention_in_visible_steps(isa, n, window, kv_type):
    """Scores, pattern and mix as three records, for whoever watches."""
    keys = -(-n // 16) * 16
    close(*attend(n, window=window, kv_type=kv_type, visible=keys), EXACT)


def test_visible_attention_has_room_for_any_number_of_keys(isa):
    """Rows of scores are not whole vectors here."""
    for n, threads in ((5, 1), (5, 3), (13, 2)):
        close(*attend(n, visible=n, n_threads=threads), EXACT)


def test_scores_of_any_size_do_not_overflow(isa):
    """Softmax is taken relative to the largest score, however far apart scores are."""
    tensors, h = layer(2, 1, 16)
    h["attention_scale"] = 1000.0
    x = rows(200, 5)
    found, twin = both(attending(h), x, tensors, steps=[150, *[1] * 50], **h)
    assert np.isfinite(found).all()
    close(found, twin, 1e-6)  # scores of 1e4 in float32 differ by 1e-3 from order of summation alone


@pytest.mark.parametrize("window", [0, 50])
@pytest.mark.parametrize("kv_type", KV_TYPES)
def test_many_sequences_in_one_step_equal_each_alone(isa, window, kv_type):
    tensors, h = layer(4, 2, 20)
    one = OneLayer(attending(h, window), WIDTH, tensors, **h)
    x = np.stack([rows(150, s) for s in range(4)])
    want = [Twin(one, cached.edits(kv_type, 20, 20)).run(x[s]) for s in range(4)]
    session = one.session(n_seq=4, kv_type=kv_type)
    starts = (3, 64, 100, 129)  # filled so far
    for s, n in enumerate(starts):
        close(session.forward(x[s, :n], seq=s, every=True), want[s][:n], EXACT)
    for i in range(12):  # one token each, in changing order
        order = np.roll(range(4), i)
        found = session.step(np.stack([x[s, starts[s] + i] for s in order]), [int(s) for s in order])
        for row, s in zip(found, order, strict=True):
            close(row, want[s][starts[s] + i], EXACT)
    mixed = [(0, 5), (2, 1), (3, 9), (1, 22)]  # a prompt beside decoding
    mixed = [(s, n, starts[s] + 12) for s, n in mixed]
    parts = np.concatenate([x[s, at : at + n] for s, n, at in mixed])
    found = session.step(parts, [s for s, n, _ in mixed for _ in range(n)])
    close(found, np.concatenate([want[s][at : at + n] for s, n, at in mixed]), EXACT)


def test_pages_freed_by_one_sequence_serve_another(isa):
    tensors, h = layer(4, 2, 16)
    one = OneLayer(attending(h), WIDTH, tensors, n_ctx=256, **h)
    x = rows(256, 2)
    want, session = Twin(one).run(x), one.session(n_seq=2)
    for turn in range(5):
        seq = turn % 2
        session.truncate(seq, 0)
        close(session.forward(x, seq=seq, every=True), want, EXACT)
        session.truncate(seq, 70)
        close(session.forward(x[70:90], seq=seq, every=True), want[70:90], EXACT)


@pytest.mark.parametrize("kv_type", KV_TYPES)
def test_truncating_forgets_exactly_what_it_says(isa, kv_type):
    tensors, h = layer(4, 2, 16)
    one = OneLayer(attending(h), WIDTH, tensors, n_ctx=512, **h)
    x = rows(400, 3)
    other = rows(400, 4)
    session, edits = one.session(kv_type=kv_type), cached.edits(kv_type, 16, 16)
    for keep in (0, 1, 63, 64, 65, 200, 399):
        session.reset()
        session.forward(x)
        session.truncate(0, keep)
        path = np.concatenate([x[:keep], other[keep : keep + 30]])
        close(session.forward(other[keep : keep + 30], every=True), Twin(one, edits).run(path)[keep:], EXACT)


def test_a_windowed_layer_goes_on_after_truncation(isa):
    """What the ring no longer holds is computed again, or refused."""
    tensors, h = layer(4, 2, 16)
    one = OneLayer(attending(h, 64), WIDTH, tensors, n_ctx=2048, **h)
    x = rows(1500, 3)
    session, want = one.session(), Twin(one).run(x)
    session.forward(x)
    for back in (1, 64, 250, 700):
        try:
            session.truncate(0, 1500 - back)
        except ModelError:
            continue
        close(session.forward(x[1500 - back :], every=True), want[1500 - back :], EXACT)


@pytest.mark.parametrize("kv_type", KV_TYPES)
def test_threads_do_not_change_a_bit(isa, kv_type):
    for steps in ([300], [250, *[1] * 50]):
        one = attend(300, kv_type=kv_type, steps=steps)[0]
        for n in (2, 3):
            np.testing.assert_array_equal(attend(300, kv_type=kv_type, steps=steps, n_threads=n)[0], one)


def test_an_overflow_changes_nothing(isa):
    tensors, h = layer(4, 2, 16)
    one = OneLayer(attending(h), WIDTH, tensors, n_ctx=100, **h)
    x = rows(101, 3)
    want, session = Twin(one).run(x), one.session()
    session.forward(x[:60])
    with pytest.raises(ContextOverflow, match="100"):
        session.forward(x[60:101])
    close(session.forward(x[60:100], every=True), want[60:100], EXACT)
    with pytest.raises(ContextOverflow):
        session.forward(x[100:101])
