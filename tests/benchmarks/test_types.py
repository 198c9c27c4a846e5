import numpy as np
import pytest

from benchmarks import types
from llama_gguf.engine import cpu, probe
from llama_gguf.gguf.types import TYPES


@pytest.mark.parametrize("name", [n for n, t in TYPES.items() if "matmul" in t.roles])
def test_random_bytes_are_finite_numbers_in_every_type(name):
    from llama_gguf.engine.quants import dequantize

    tensor = types.RandomTensor("w", TYPES[name], 4, 512, 0)
    values = dequantize(tensor.raw, tensor.type.id, 512)
    assert np.isfinite(values).all()
    assert np.abs(values).max() > np.finfo(np.float32).tiny


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
