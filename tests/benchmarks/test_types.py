import numpy as np
import pytest

from benchmarks import types
from llama_gguf.engine import cpu, probe
from llama_gguf.gguf.types import TYPES

MATMUL = [name for name, kind in TYPES.items() if "matmul" in kind.roles]


@pytest.mark.parametrize("name", MATMUL)
def test_random_matrices_hold_ordinary_numbers_and_are_copies(name):
    from llama_gguf.engine.quants import dequantize

    one, two = (types.RandomTensor(f"w{i}", TYPES[name], 4, 512) for i in range(2))
    values = dequantize(one.raw, one.type.id, 512)
    assert np.isfinite(values).all()
    assert values.std() > 1e-3
    assert not np.shares_memory(one.raw, two.raw)
    np.testing.assert_array_equal(one.raw, two.raw)


@pytest.mark.parametrize("name", MATMUL)
def test_bytes_read_are_those_of_the_panels(name):
    from llama_gguf.weights import WeightStore

    kind, store = TYPES[name], WeightStore()
    tensor = types.RandomTensor("w", kind, 32, 512)
    size = tensor.raw.nbytes
    store.binding(tensor)
    assert types.bytes_read(kind, 32, 512) == store._arrays["w"].nbytes
    assert types.bytes_read(kind, 32, 512, repack=False) == size


@pytest.mark.parametrize("name", ["Q4_K", "F16", "IQ2_S"])
def test_seconds_are_those_of_the_products(name):
    products = types.Products(TYPES[name], 32, 256, 3, 8, 1)
    assert products.seconds(1, 3) > 0
    assert products.seconds(8, 2) > 0


@pytest.mark.parametrize("isa", [isa for isa in probe.ISAS if not cpu.missing(isa)])
def test_probes_tell_time(isa):
    data = np.zeros(1 << 20, np.uint8)
    assert probe.read_seconds(data, 1, isa) > 0
    seconds, operations = probe.multiply_seconds(1000, 2, isa)
    assert seconds > 0
    assert operations % 4000 == 0


def test_an_unknown_probe_is_an_error():
    with pytest.raises(ValueError, match="no probe"):
        probe.multiply_seconds(1, 1, "mmx")
