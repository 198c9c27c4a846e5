"""What attention may have besides: caps on scores, ALiBi, sinks, sight both ways; in every path, on every cache."""

from types import SimpleNamespace

import numpy as np
import pytest

from llama_gguf import nn
from llama_gguf.cache import KV_TYPES
from llama_gguf.errors import ModelError
from llama_gguf.nn.attention import slopes

from . import cached
from .test_attention import EXACT, layer, rows
from .words import OneLayer, both, close

OPTIONS = {
    "cap": {"cap": 2.0},
    "alibi": {"alibi": 8.0},
    "sinks": {"sinks": True},
    "cap and alibi": {"cap": 1.5, "alibi": 4.0},
    "all": {"cap": 2.0, "alibi": 6.0, "sinks": True, "window": 50},
}
WAYS = {"whole": [150], "decode": [130, 1, 1, 1, 17], "visible": [150]}


def attending(h, sinks=False, **how):
    h = SimpleNamespace(**h)
    return lambda g, w, x: nn.attend(w.q @ x, w.k @ x, w.v @ x, h, 1, sinks=w.sinks if sinks else None, **how)


def attend(n, how, heads=6, kv_heads=2, k_dim=16, kv_type="F32", **more):
    tensors, h = layer(heads, kv_heads, k_dim)
    tensors["sinks"] = np.linspace(-3, 12, heads)
    edits = cached.edits(kv_type, k_dim, k_dim)
    return both(attending(h, **how), rows(n), tensors, kv_type=kv_type, edits=edits, dtype=np.float64, **h, **more)


@pytest.mark.parametrize("kv_type", KV_TYPES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("option", OPTIONS)
def test_options_equal_the_reference(isa, option, way, kv_type):
    close(*attend(150, OPTIONS[option], kv_type=kv_type, steps=WAYS[way], visible=192 if way == "visible" else None),
          EXACT)


@pytest.mark.parametrize("option", OPTIONS)
def test_options_change_something(option):
    plain, _ = attend(150, {"window": 50} if "window" in OPTIONS[option] else {})
    assert np.abs(attend(150, OPTIONS[option])[0] - plain).max() > 1e-2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("option", OPTIONS)
def test_options_do_not_depend_on_threads(isa, option, way):
    visible = 192 if way == "visible" else None
    one, two = (attend(150, OPTIONS[option], n_threads=n, steps=WAYS[way], visible=visible)[0] for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("heads", [1, 2, 3, 5, 8, 12, 14, 40])
def test_alibi_of_any_number_of_heads(isa, heads):
    """Slopes as in the paper's own code: of the next power of two, every other one, where `heads` is none."""
    power = 1 << (heads - 1).bit_length()
    most = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    want = most if power == heads else (most[1::2] + most[::2])[:heads]
    np.testing.assert_allclose(slopes(heads, 8.0), want)
    close(*attend(80, {"alibi": 8.0}, heads=heads, kv_heads=1, steps=[70, 1, 9]), EXACT)


@pytest.mark.parametrize("kv_type", KV_TYPES)
@pytest.mark.parametrize("n", [1, 16, 17, 64, 300])
@pytest.mark.parametrize("option", [{}, {"window": 21}, {"window": 64, "sinks": True}, {"alibi": 8.0, "cap": 3.0}],
                         ids=str)
def test_sight_both_ways(isa, option, n, kv_type):
    """Encoders: a text in one step, however long; split by position (up to 16 tokens) or not, and visible."""
    how = option | {"causal": False}
    close(*attend(n, how, kv_type=kv_type), EXACT)
    close(*attend(n, how, kv_type=kv_type, visible=320), EXACT)


@pytest.mark.parametrize("window", [0, 6])
def test_texts_of_one_step_see_only_themselves(isa, window):
    tensors, h = layer(4, 2, 16)
    one = OneLayer(attending(h, causal=False, window=window), rows(1).shape[1], tensors, **h)
    for lengths in ((5, 7, 3), (40, 2, 60)):
        texts = [rows(n, seed=n) for n in lengths]
        session = one.session(n_seq=3)
        seqs = [s for s, n in enumerate(lengths) for _ in range(n)]
        together = session.step(np.concatenate(texts), seqs)
        alone = np.concatenate([one.session().forward(text, every=True) for text in texts])
        close(together, alone, EXACT)


def test_sinks_must_be_one_for_each_head():
    tensors, h = layer(4, 2, 16)
    with pytest.raises(ModelError, match="sinks"):
        both(attending(h, sinks=True), rows(3), tensors | {"sinks": np.zeros(5)}, **h)
