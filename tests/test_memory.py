"""What a model takes of the memory: its weights once, whatever the way they come in."""

import os
import subprocess
import sys

import numpy as np
import pytest

from llama_gguf import GGUFFile, Model, weights
from llama_gguf.testing import tiny
from llama_gguf.testing.values import POOL

PEAK = """
import sys
from llama_gguf import Model
import llama_gguf.model

def resident(field):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

before = resident("VmRSS")
with Model(sys.argv[1], n_ctx=64, n_threads=2, repack=True) as model:
    loaded = resident("VmHWM")
    model.session(n_ctx=64).forward([5])
print(loaded - before, resident("VmHWM") - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory is read from /proc")
def test_packing_holds_the_weights_once_and_a_batch_of_the_file(tmp_path):
    file = tiny(tmp_path / "t.gguf", type="Q8_0", layers=8, width=1024, heads=8, ff=4096, tokens=8192)
    command = [sys.executable, "-c", PEAK, str(file)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    size = os.path.getsize(file)
    loaded, first_token = map(int, done.stdout.split())
    assert 0.8 * size < loaded < 1.02 * size + 1.5 * weights.BATCH[0] < 1.5 * size
    assert first_token < 1.1 * size + 1.5 * weights.BATCH[0]


@pytest.mark.parametrize("type", ["Q4_0", "Q6_K", "F16"])
def test_packing_in_small_pieces_gives_the_same_bits(type, tmp_path, monkeypatch):
    file = tiny(tmp_path / "t.gguf", type=type, width=256, ff=512)  # 269 tokens: the last panel is not full
    with Model(file, n_threads=2) as model:
        want = model.logits([1, 2, 3])
    monkeypatch.setattr(weights, "BATCH", (1, 1))
    with Model(file, n_threads=2) as model:
        np.testing.assert_array_equal(model.logits([1, 2, 3]), want)


@pytest.mark.parametrize("tied", [False, True])
def test_a_mixture_has_the_types_that_llama_quantize_gives(tied, tmp_path):
    """Those of llama.cpp's own quantizer for these shapes (llama-cpp-python 0.3.36, no importance matrix)."""
    file = tiny(tmp_path / "t.gguf", type="Q4_K_M", layers=18, width=256, ff=512, tied=tied)
    found = {name: tensor.type.name for name, tensor in GGUFFile(file).tensors.items() if len(tensor.shape) == 2}
    layers = (0, 1, 4, 7, 10, 13, 15, 16, 17)
    better = {f"blk.{i}.{name}.weight" for i in layers for name in ("attn_v", "ffn_down")}
    better.add("token_embd.weight" if tied else "output.weight")
    assert {name for name, type in found.items() if type == "Q6_K"} == better
    assert {type for name, type in found.items() if name not in better} == {"Q4_K"}


@pytest.mark.parametrize("type", ["Q8_0", "Q4_K", "BF16"])
def test_large_random_matrices_are_as_good_as_small_ones(type, tmp_path):
    rows, cols = 40000, 512
    file = tiny(tmp_path / "t.gguf", type=type, layers=1, width=cols, ff=1024, tokens=rows, tied=True)
    tensor = GGUFFile(file).tensors["token_embd.weight"]
    assert tensor.n_elements > POOL * tensor.type.block  # more blocks than there are different ones
    assert len({row.tobytes() for row in tensor.raw}) == rows
    values = tensor.numpy()
    assert np.isfinite(values).all()
    assert values.std() * cols**0.5 == pytest.approx(1, rel=0.01)
