"""Panels without a browser: a tiny model, clicks and changes of traits, waiting on `state`."""

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.testing import tiny


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("panels") / "tiny.gguf")


@pytest.fixture(scope="session")
def quantized_file(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("panels") / "q4.gguf", type="Q4_K", width=256, ff=96)


@pytest.fixture(scope="session")
def wide_file(tmp_path_factory):
    """Rows of 256, as most types need them."""
    return tiny(tmp_path_factory.mktemp("panels") / "wide.gguf", width=256, ff=256, tied=True)


@pytest.fixture(scope="session")
def nan_file(tmp_path_factory):
    """Its second layer's attention gives NaN."""
    weights = np.full((64, 64), np.nan, np.float32)
    return tiny(tmp_path_factory.mktemp("panels") / "nan.gguf", tensors={"blk.1.attn_output.weight": weights})


@pytest.fixture
def model(tiny_file):
    with Model(tiny_file, n_threads=1) as m:
        yield m


def finish(panel, seconds=60):
    """Wait for a panel; what it says in the end."""
    assert panel.wait(seconds) != "running"
    return panel.message
