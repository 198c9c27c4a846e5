"""Quantizers touch nothing beside their arrays, give the same bytes everywhere and stop when asked."""

import importlib
import itertools
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_gguf.engine import built, cpu
from llama_gguf.engine.quants import dequantize
from llama_gguf.gguf.types import TYPES
from llama_gguf.quantize import rows as rows_module
from llama_gguf.quantize.rows import QUANTIZERS, compiled, quantize_rows

from ..engine.guard import guarded
from .rows import importance, relative_error, row_sets

F32 = TYPES["F32"].id
all_types = pytest.mark.parametrize("name", QUANTIZERS)
quantized = pytest.mark.parametrize("name", [name for name in QUANTIZERS if TYPES[name].is_quantized])


def stored(values, name, weights=None):
    weights = np.ones(values.shape[1], np.float32) if weights is None else weights
    return dequantize(quantize_rows(values, name, weights), TYPES[name].id, values.shape[1])


@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
@pytest.mark.parametrize("end", [True, False], ids=["end", "start"])
@all_types
def test_quantizers_stay_inside(name, end):
    kind = TYPES[name]
    for rows, blocks in ((1, 1), (3, 3)):
        n_cols = blocks * kind.block
        source = guarded(rows * n_cols * 4, end).view(np.float32).reshape(rows, n_cols)
        source[:] = np.random.default_rng(3).standard_normal(source.shape)
        weights = guarded(n_cols * 4, end).view(np.float32)
        weights[:] = importance(n_cols)
        out = guarded(rows * blocks * kind.bytes, end).reshape(rows, -1)
        compiled().quantize(kind.id, F32, source.view(np.uint8), weights, out)
        free = np.zeros(out.shape, np.uint8)
        compiled().quantize(kind.id, F32, source.copy().view(np.uint8), weights.copy(), free)
        np.testing.assert_array_equal(out, free)


def instruction_sets():
    return [isa for isa in cpu.NEEDS if built(f"quantize_{isa}") and not cpu.missing(isa)]


@all_types
def test_every_instruction_set_gives_the_same_bytes(name):
    kind, found = TYPES[name], {}
    for isa in instruction_sets():
        module = importlib.import_module(f"llama_gguf.engine.quantize_{isa}")
        found[isa] = []
        for values in row_sets().values():
            out = np.zeros((len(values), kind.row_bytes(values.shape[1])), np.uint8)
            module.quantize(kind.id, F32, values.view(np.uint8), importance(values.shape[1]), out)
            found[isa].append(out)
    assert "generic" in found
    for outs in found.values():
        for out, expected in zip(outs, found["generic"], strict=True):
            np.testing.assert_array_equal(out, expected)


TWICE = 0.4
"""Of what was lost the first time: the most that storing the same values again may add, where it adds anything: groups
whose codes do not reach the end of their range may get another scale."""
EXACT = {"F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4", "Q1_0", "Q2_0",
         "IQ4_NL"}


@all_types
def test_what_was_stored_once_is_stored_again_without_loss(name):
    values = row_sets()["normal"]
    once = stored(values, name)
    twice = stored(once, name)
    if name in EXACT:
        np.testing.assert_array_equal(twice, once)
    else:
        assert relative_error(once, twice) <= TWICE * relative_error(values, once)


CODES = {"Q4_0": (-8, 7), "Q5_0": (-16, 15), "Q8_0": (-127, 127), "Q4_1": (0, 15), "Q5_1": (0, 31), "Q2_0": (-1, 2)}


@pytest.mark.parametrize("name", CODES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), exponent=st.integers(-12, 8), minimum=st.integers(-64, 64))
def test_rows_on_a_grid_come_back_exactly(name, seed, exponent, minimum):
    """Every code that there is, times a scale, above a minimum where the type has one.

    Under importance a scale and a minimum may trade a column that hardly counts for a shift of the others, so small
    that sums in single precision do not see it.
    """
    low, high = CODES[name]
    rng = np.random.default_rng(seed)
    codes = rng.integers(low, high + 1, 256).reshape(-1, TYPES[name].block)
    codes[:, 0], codes[:, 1] = low, high
    values = codes * 2.0**exponent * 1.5
    if low == 0:
        values += minimum * 2.0**exponent
    values = values.reshape(1, -1).astype(np.float32)
    np.testing.assert_array_equal(stored(values, name), values)
    weights = importance(256, seed)
    if low < 0:
        np.testing.assert_array_equal(stored(values, name, weights), values)
    left = np.square(values - stored(values, name, weights).astype(np.float64))
    assert (left * weights).sum() <= 1e-6 * (np.square(values.astype(np.float64)) * weights).sum()


@quantized
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), spread=st.floats(0, 6), size=st.floats(-4, 3), gaps=st.floats(0, 1))
def test_storing_is_never_worse_than_zeros(name, seed, spread, size, gaps):
    """Whatever the rows: values of very unequal size, many zeros, importance that hardly leaves anything."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((2, 256)) * np.exp(spread * rng.standard_normal((2, 256)) / 2) * 10.0**size
    values = np.where(rng.random((2, 256)) < gaps, 0, np.clip(values, -6e4, 6e4)).astype(np.float32)
    weights = np.exp(spread * rng.standard_normal(256)).astype(np.float32)
    for w in (np.ones(256, np.float32), weights):
        left = np.square(values - stored(values, name, w).astype(np.float64))
        assert (left * w).sum() <= (np.square(values.astype(np.float64)) * w).sum() * (1 + 1e-6)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a signal to oneself")
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals go to the main thread")
def test_ctrl_c_is_heard_at_once(monkeypatch):
    """It comes while slabs are stored; what is done after it is counted in time of processors, not of the clock."""
    values = np.ones((4096, 4096), np.float32)
    values[:] = np.random.default_rng(0).standard_normal(4096)
    begun, sent, store = itertools.count(1), [], rows_module.convert_slab

    def interrupting(*args):
        if next(begun) == 5:
            sent.append(time.process_time())
            os.kill(os.getpid(), signal.SIGINT)
        store(*args)

    monkeypatch.setattr(rows_module, "convert_slab", interrupting)
    with pytest.raises(KeyboardInterrupt):
        quantize_rows(values, "IQ3_XXS", np.ones(4096, np.float32), n_threads=2)
    worked, n = time.process_time() - sent[0], next(begun) - 1
    assert worked < 0.5 and n < 30, f"{worked:.2f} s; alone on the machine it is less than 0.1 s; {n} of 256 slabs"
