"""Random models of every architecture that a model file runs: they open, and run alike however they are run.

The same files gave llama.cpp b11434's logits (NMSE 1e-12; 2e-7 where it takes GELU from a table of halves).
"""

import functools

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.models import registry
from llama_gguf.reference import Reference
from llama_gguf.testing import FAMILIES, MIXTURES, SHAPES, tiny
from llama_gguf.testing.shapes import all_shapes, sizes_of
from llama_gguf.testing.values import FLOATS, OWN, type_of

from .goldens import nmse

SAME = 1e-10  # two orders of the same float32 sums
CODES = 1e-3  # activations of 8 bits; weights are what they are on both sides
KEPT = dict.fromkeys(("qwen35", "qwen35moe", "qwen3next"), 5e-3)  # delta rules keep all roundings
DECODERS = sorted(name for name, family in registry().items() if not getattr(family, "ENCODER", False))
ENCODERS = sorted(registry().keys() - set(DECODERS))
IDS = np.random.default_rng(7).integers(0, 256, 40).tolist()


def odd_shapes(arch):
    """Head counts that are no powers of two, one key head, heads of odd sizes, one layer more."""
    own = FAMILIES[arch].sizes
    free = {} if "kv_heads" in own else {"kv_heads": 1}
    yield {"heads": 3, "width": 96, "head_dim": 16} | free
    yield {"heads": 6, "width": 72, "head_dim": 12, "rope_dim": 6} | (free and {"kv_heads": 3})
    yield {"layers": own.get("layers", 2) + 1, "seed": 3, "tied": not FAMILIES[arch].tied}


@pytest.fixture
def file(tmp_path):
    return functools.partial(tiny, tmp_path / "t.gguf")


def test_every_architecture_has_its_line():
    assert registry().keys() <= FAMILIES.keys()


@pytest.mark.parametrize("arch", DECODERS)
def test_a_random_model_equals_its_reference_at_once_and_token_by_token(isa, arch, file):
    with Model(file(arch), exact=True, n_threads=1) as model:
        want, whole, session = Reference(model).logits(IDS), model.logits(IDS), model.session()
        assert np.isfinite(want).all() and want.std(0).min() > 0
        assert nmse(whole, want) <= SAME
        assert nmse(np.concatenate([session.forward([i]) for i in IDS]), whole) <= SAME


@pytest.mark.parametrize("arch", DECODERS)
def test_odd_shapes_equal_the_reference(arch, file):
    for shape in odd_shapes(arch):
        with Model(file(arch, **shape), exact=True, n_threads=1) as model:
            assert nmse(model.logits(IDS), Reference(model).logits(IDS)) <= SAME, shape


@pytest.mark.parametrize("arch", ENCODERS)
def test_a_random_encoder_equals_its_reference(isa, arch, file):
    with Model(file(arch), exact=True, n_threads=1) as model:
        states = model.embed(IDS, "none", normalize=False)
        assert nmse(states, Reference(model).logits(IDS)) <= SAME


@pytest.mark.parametrize("arch", DECODERS)
def test_another_seed_is_another_model_of_the_same_kind(arch, file):
    found = []
    for seed in (0, 0, 1):
        with Model(file(arch, seed=seed), exact=True) as model:
            found.append(model.logits(IDS[:8]))
    np.testing.assert_array_equal(found[0], found[1])
    assert nmse(found[2], found[0]) > 0.1


@pytest.mark.parametrize("type", ["Q8_0", "Q4_K"])
@pytest.mark.parametrize("arch", DECODERS)
def test_quantized_matrices_run(arch, type, file):
    """Of all tokens the median: a rounding may send one to another expert."""
    path = file(arch, type=type, width=256, ff=256)
    with Model(path, exact=True) as exact, Model(path) as packed:
        matrices = {t.type.name for name, t in exact.tensors.items() if len(t.shape) > 1 and "norm" not in name}
        assert type in matrices
        errors = map(nmse, packed.logits(IDS), exact.logits(IDS))
        assert np.median(list(errors)) <= KEPT.get(arch, CODES)


def test_sizes_that_a_family_does_not_have_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"window.*layers"):
        tiny(tmp_path / "t.gguf", "llama", window=4)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", SHAPES)
def test_large_shapes_are_quantized_throughout(name):
    """As real files are: floats are vectors, and the few small matrices that nobody quantizes."""
    sizes = dict(SHAPES[name])
    family, tied = FAMILIES[sizes.pop("arch", "llama")], sizes.pop("tied", False)
    tokens = sizes.pop("tokens")
    s = sizes_of(family, sizes, tokens)
    for mixture in MIXTURES:
        for tensor, shape in all_shapes(family, s, tied, False, False).items():
            if len(shape) == 1 or "norm" in tensor or any(part in tensor for part in (*FLOATS, *OWN)):
                continue
            assert type_of(tensor, shape[-1], mixture, s.layers, tied, getattr(s, "experts", 0)) != "F32", tensor
