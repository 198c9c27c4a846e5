"""A real model against llama.cpp b11434, whose logits (F32 cache, 256 columns of 49,152) stand in tests/data."""

from pathlib import Path

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.reference import Reference

TEXT = (
    "The French Revolution began in 1789, when the Estates General met at Versailles for the first time since 1614. "
    "Within a few weeks the deputies of the third estate had declared themselves a National Assembly, and on 14 July "
    "a crowd in Paris stormed the Bastille."
)


def nmse(found, wanted):
    return float(((found - wanted) ** 2).sum() / (wanted**2).sum())


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(__file__).parents[1] / "data" / "smollm2_llama_cpp.npz")


@pytest.fixture(scope="module")
def exact(smollm2, golden):
    with Model(smollm2, exact=True) as m:
        yield m, m.logits(golden["tokens"])


@pytest.fixture(scope="module")
def packed(smollm2, golden):
    with Model(smollm2) as m:
        yield m, m.logits(golden["tokens"])


def test_tokens_are_llama_cpps(packed, golden):
    assert packed[0].tokenize(TEXT) == golden["tokens"].tolist()


def test_exact_equals_the_reference(exact, golden):
    model, logits = exact
    assert nmse(logits, Reference(model).logits(golden["tokens"])) <= 1e-10


def test_the_error_is_not_above_llama_cpps(exact, packed, golden):
    """Both use 8-bit activations; the yardstick is float arithmetic on the same dequantized weights."""
    columns = golden["columns"]
    truth = exact[1][:, columns]
    assert nmse(packed[1][:, columns], truth) <= nmse(golden["logits"], truth)


def test_the_likeliest_token_is_llama_cpps_nearly_always(packed, golden):
    """llama.cpp and exact arithmetic agree on 96 to 98% of positions; so do we and llama.cpp."""
    assert np.mean(packed[1].argmax(1) == golden["first"]) >= 0.95


def test_one_thread_equals_two_bit_for_bit(smollm2, packed, golden):
    with Model(smollm2, n_threads=1) as m:
        one = m.logits(golden["tokens"])
    with Model(smollm2, n_threads=2) as m:
        assert np.array_equal(one, m.logits(golden["tokens"]))


def test_prefill_equals_decode(packed, golden):
    session = packed[0].session(n_ctx=128)
    rows = [session.forward([t])[0] for t in golden["tokens"][:24]]
    assert nmse(np.stack(rows), packed[1][:24]) <= 1e-10
