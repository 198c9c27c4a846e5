"""Every word of nn gives what its NumPy twin in reference gives, with every instruction set."""

from types import SimpleNamespace

import numpy as np
import pytest

from llama_gguf import nn
from llama_gguf.hparams import Rope

from .words import both, close

EXACT = 1e-12  # float32 against double precision, both rounding as they go: about (6e-8)**2 a step


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("heads", "size"), [(1, 64), (1, 65), (1, 7), (1, 1), (4, 16), (3, 20), (5, 7), (2, 80)])
def test_rms_norm(isa, heads, size):
    x, gain = normal(9, heads * size), {"gain": normal(size)}
    close(*both(lambda g, w, x: nn.rms_norm(x, w.gain, heads), x, gain, dtype=np.float64), EXACT)


@pytest.mark.parametrize("scale", [1e-18, 1e-4, 1e4, 1e18])
def test_rms_norm_of_tiny_and_huge_rows(isa, scale):
    """Squares stay inside float32; eps counts where rows are tiny."""
    x, gain = normal(3, 48) * np.float32(scale), {"gain": normal(48)}
    close(*both(lambda g, w, x: nn.rms_norm(x, w.gain), x, gain, dtype=np.float64), EXACT)


@pytest.mark.parametrize("width", [1, 15, 16, 17, 31, 33, 96, 100])
@pytest.mark.parametrize("word", ["silu", "gelu", "scale", "add", "mul", "gated"])
def test_elementwise(isa, word, width):
    words = {
        "silu": lambda g, w, x: nn.silu(x),
        "gelu": lambda g, w, x: nn.gelu(x),
        "scale": lambda g, w, x: x * 0.3,
        "add": lambda g, w, x: x + nn.silu(x),
        "mul": lambda g, w, x: x * nn.rms_norm(x, w.gain),
        "gated": lambda g, w, x: nn.gelu(x) * nn.rms_norm(x, w.gain),
    }
    gain = {"gain": normal(width)}
    close(*both(words[word], 3 * normal(5, width), gain, dtype=np.float64), EXACT)


@pytest.mark.parametrize("word", [nn.silu, nn.gelu])
def test_activations_keep_their_limits(isa, word):
    """Large arguments pass or vanish (to 1e-38 of their size); nothing overflows into NaN."""
    x = np.array([[-1e30, -1e4, -100, -88, -20, -1e-30, 0, 1e-30, 20, 88, 100, 1e4]], np.float32)
    engine, twin = both(lambda g, w, x: word(x), x, dtype=np.float64)
    assert (abs(engine - twin) <= 1e-6 * abs(twin) + 1e-38 * abs(x)).all(), (engine, twin)


def ropes(g, x, kind, dim, heads, **rope):
    h = SimpleNamespace(rope=Rope(kind, dim, 10000.0, **rope))
    return nn.rope(x, h, heads)


@pytest.mark.parametrize(("size", "dim"), [(8, 8), (16, 16), (20, 20), (20, 10), (64, 16), (80, 80), (7, 4)])
@pytest.mark.parametrize("kind", ["norm", "neox"])
def test_rope(isa, kind, size, dim):
    """Also where only the first dims of a head turn."""
    close(*both(lambda g, w, x: ropes(g, x, kind, dim, 3), normal(11, 3 * size)), EXACT)


@pytest.mark.parametrize("scaling", [
    {"scaling": "linear", "factor": 4.0},
    {"scaling": "yarn", "factor": 8.0, "original_context": 128},
    {"scaling": "yarn", "factor": 8.0, "original_context": 128, "log_multiplier": 0.5},
    {"divisors": (1.0, 2.0, 3.0, 8.0, 8.0, 8.0, 8.0, 8.0)},
    {"attention_factor": 1.25},
], ids=["linear", "yarn", "yarn-multiplier", "divisors", "magnitude"])
def test_rope_scaling(isa, scaling):
    close(*both(lambda g, w, x: ropes(g, x, "neox", 16, 2, **scaling), normal(40, 32)), EXACT)


def test_rope_keeps_its_precision_at_far_positions(isa):
    """Angles are made in double precision: position 4000 is as exact as position 4."""
    x = normal(4000, 16)
    engine, twin = both(lambda g, w, x: ropes(g, x, "norm", 16, 1), x, n_ctx=4096)
    close(engine[-10:], twin[-10:], EXACT)


def test_angles_are_made_once_for_all_readers(isa):
    def build(g, w, x):
        h = SimpleNamespace(rope=Rope("norm", 16, 10000.0))
        y = nn.rope(x, h, 2) + nn.rope(x, h, 2)
        assert sum(r.kind == "angles" for r in g.records) == (0 if hasattr(g, "positions") else 1)
        return y

    close(*both(build, normal(6, 32)), EXACT)


def test_a_residual_is_added_by_the_product_that_made_it(isa):
    """x + W f(x) as one record equals the two apart."""
    tensors = {"a": normal(40, 40), "b": normal(40, 40)}

    def build(g, w, x):
        y = x + w.a @ nn.silu(x)
        return y + w.b @ nn.gelu(y)

    fused, twin = both(build, normal(7, 40), tensors, dtype=np.float64)
    plain, _ = both(build, normal(7, 40), tensors, visible=64)
    close(fused, twin, EXACT)
    close(plain, twin, EXACT)
