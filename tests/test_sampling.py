"""From logits to a token: every step against plain NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_gguf.errors import ModelError
from llama_gguf.sampling import Sampler, top_logprobs


def row(n=1000, seed=0, scale=3):
    return np.random.default_rng(seed).normal(size=n).astype(np.float32) * np.float32(scale)


def support(logits, draws=3000, **settings):
    sampler = Sampler(**{"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 1,
                         **settings})
    return {sampler.sample(logits) for _ in range(draws)}


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=70))
def test_greedy_takes_the_lowest_id_of_the_highest_logit(values):
    logits = np.array(values, np.float32)
    assert Sampler().sample(logits) == int(logits.argmax())


@pytest.mark.parametrize("n", [1, 7, 8, 2047, 2048, 2049, 5000])
@pytest.mark.parametrize("where", [0, 0.5, 0.999])
def test_greedy_finds_the_peak_anywhere(n, where):
    logits = row(n)
    logits[int(where * n)] = 50
    assert Sampler().sample(logits) == int(where * n)


def test_same_seed_same_tokens():
    logits = row()
    a, b, c = (Sampler(temperature=1.0, seed=s) for s in (5, 5, 6))
    one = [a.sample(logits) for _ in range(50)]
    assert one == [b.sample(logits) for _ in range(50)]
    assert one != [c.sample(logits) for _ in range(50)]


def test_drawn_seed_can_be_used_again():
    logits, first = row(), Sampler(temperature=1.0)
    tokens = [first.sample(logits) for _ in range(20)]
    again = Sampler(temperature=1.0, seed=first.seed)
    assert tokens == [again.sample(logits) for _ in range(20)]


def test_state_goes_back():
    logits, sampler = row(), Sampler(temperature=1.0, seed=1)
    state = sampler.state
    tokens = [sampler.sample(logits) for _ in range(9)]
    sampler.state = state
    assert tokens == [sampler.sample(logits) for _ in range(9)]


@pytest.mark.parametrize("settings", [{"top_k": 5}, {"top_k": 5, "top_p": 0.9999}, {"top_k": 0}])
def test_frequencies_are_the_softmax_at_the_temperature(settings):
    logits = np.array([1.0, 3.0, 2.0, -1.0, 2.5], np.float32)
    p = np.exp(logits / 0.7)
    p /= p.sum()
    sampler = Sampler(**{"temperature": 0.7, "top_p": 1.0, "min_p": 0.0, "seed": 3, **settings})
    n = 40000
    got = np.bincount([sampler.sample(logits) for _ in range(n)], minlength=5) / n
    assert np.abs(got - p).max() < 0.01


def test_top_k_keeps_the_k_best():
    logits = row(50, scale=0.1)
    assert support(logits, top_k=4) == set(np.argsort(-logits)[:4].tolist())


@pytest.mark.parametrize("top_k", [0, 40])
def test_top_p_keeps_the_fewest_that_reach_p(top_k):
    logits = np.log(np.array([0.4, 0.05, 0.3, 0.15, 0.1], np.float32))
    assert support(logits, top_p=0.8, top_k=top_k) == {0, 2, 3}
    assert support(logits, top_p=0.1, top_k=top_k) == {0}


@pytest.mark.parametrize("top_k", [0, 3])
def test_min_p_is_relative_to_the_best(top_k):
    logits = np.log(np.array([0.5, 0.3, 0.04, 0.16], np.float32))
    assert support(logits, min_p=0.25, top_k=top_k) == {0, 1, 3}


def test_truncation_ignores_the_temperature():
    logits = np.log(np.array([0.6, 0.25, 0.15], np.float32))
    assert support(logits, top_p=0.8, temperature=50.0) == {0, 1}


def test_top_p_over_a_flat_row_takes_what_it_needs():
    logits = np.zeros(3000, np.float32)
    assert 1400 < max(support(logits, top_p=0.5, draws=300)) < 1500


def test_repeat_penalty_divides_what_is_above_zero_and_multiplies_below():
    logits = np.array([2.0, 1.9, -1.0], np.float32)
    assert Sampler(repeat_penalty=1.1).sample(logits, [0]) == 1
    logits = np.array([-2.0, -1.9, -2.05], np.float32)
    assert Sampler(repeat_penalty=1.1).sample(logits, [1]) == 0


def test_repeat_penalty_looks_back_only_so_far():
    logits, history = np.array([2.0, 1.9], np.float32), [0, 1, 1]
    assert Sampler(repeat_penalty=1.5, repeat_last_n=2).sample(logits, history) == 0
    assert Sampler(repeat_penalty=1.5, repeat_last_n=-1).sample(logits, [0]) == 1
    assert Sampler(repeat_penalty=1.5, repeat_last_n=0).sample(logits, [0]) == 0


def test_logits_of_the_caller_stay_as_they_are():
    logits = row()
    before = logits.copy()
    Sampler(temperature=1.0, repeat_penalty=1.3, seed=0).sample(logits, range(100))
    assert (logits == before).all()


def test_bias_and_processor_change_the_row():
    logits = np.array([1.0, 2.0, 3.0], np.float32)
    assert Sampler(logit_bias={2: -math.inf}).sample(logits) == 1
    assert Sampler(processor=lambda history, x: -x).sample(logits) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_broken_logits_are_a_model_error_that_names_the_token(bad, temperature):
    logits = row(3000)
    logits[2500] = bad
    with pytest.raises(ModelError, match="2500"):
        Sampler(temperature=temperature).sample(logits)


def test_no_possible_token_is_a_model_error():
    with pytest.raises(ModelError, match="no token"):
        Sampler().sample(np.full(9, -np.inf, np.float32))


@pytest.mark.parametrize("settings", [
    {"temperature": math.nan}, {"min_p": 2}, {"top_p": -1}, {"repeat_penalty": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError):
        Sampler(**settings)


@pytest.mark.parametrize("settings", [
    {}, {"top_k": 5}, {"top_p": 0.6}, {"min_p": 0.2}, {"temperature": 0.0}, {"top_k": 9, "top_p": 0.8, "min_p": 0.1},
    {"top_k": 4, "repeat_penalty": 1.7}, {"min_p": 0.1, "temperature": 3.0}])
def test_the_last_step_is_what_the_sampler_draws_from(settings):
    logits, history = row(12, scale=1.0), [0, 3, 3]
    settings = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 1, **settings}
    last, sampler, n = Sampler(**settings).steps(logits, history)[-1], Sampler(**settings), 20000
    drawn = np.bincount([sampler.sample(logits, history) for _ in range(n)], minlength=12) / n
    expected = np.zeros(12)
    expected[last.ids] = last.probabilities
    assert np.abs(drawn - expected).max() < 0.015
    assert set(np.flatnonzero(drawn)) <= set(last.ids.tolist())


def test_steps_drop_tokens_one_after_the_other():
    logits = np.log(np.array([0.4, 0.05, 0.3, 0.15, 0.1], np.float32))
    steps = Sampler(temperature=1.0, top_k=4, top_p=0.85, min_p=0.5).steps(logits)
    assert [(s.name, s.ids.tolist()) for s in steps] == [
        ("logits", [0, 2, 3, 4, 1]), ("penalties", [0, 2, 3, 4, 1]), ("top_k", [0, 2, 3, 4]),
        ("top_p", [0, 2, 3]), ("min_p", [0, 2]), ("temperature", [0, 2])]
    assert steps[-1].probabilities == pytest.approx([4 / 7, 3 / 7])


@pytest.mark.parametrize("bad", [[1.0, math.nan], [math.inf, 1.0], [-math.inf, -math.inf]])
def test_steps_refuse_broken_logits(bad):
    with pytest.raises(ModelError):
        Sampler().steps(np.array(bad, np.float32))


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40), st.integers(1, 50))
def test_top_logprobs_are_the_best_of_the_softmax(values, k):
    logits = np.array(values, np.float32)
    p = np.exp(logits.astype(np.float64) - logits.max())
    p /= p.sum()
    found = top_logprobs(logits, k)
    assert [i for i, _ in found] == np.argsort(-logits, kind="stable")[:k].tolist()
    assert np.allclose(np.exp([x for _, x in found]), p[[i for i, _ in found]], atol=1e-5)
    assert top_logprobs(logits, k, len(values) - 1)[0][0] == len(values) - 1
