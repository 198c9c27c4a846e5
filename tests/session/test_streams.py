"""Generators and interruption: whoever stops early, or comes between, changes nothing for the next."""

import gc
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

from llama_gguf import Model

from .common import IDS, same

# ---- interruption


def interrupt_after(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to itself")
@pytest.mark.parametrize("delay", [0.0, 0.001, 0.02, 0.05, 0.1])
def test_an_interrupted_prompt_leaves_the_session_as_it_was(slow, delay):
    ids = np.random.default_rng(1).integers(2, 260, 1500).tolist()
    session = slow.session(n_ctx=4096)
    session.forward(ids[:100])
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupt_after(delay)
        while True:  # until it strikes, within a step or between two
            session.forward(ids)
            session.truncate(0, 100)
    assert time.monotonic() - before < delay + 2
    time.sleep(0.01)
    session.truncate(0, 100)
    assert session.tokens[0] == ids[:100]
    fresh = slow.session(n_ctx=4096)
    same(session.forward(ids[100:200], every=True), fresh.forward(ids[:200], every=True)[100:])


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to itself")
@pytest.mark.parametrize("delay", [0.001, 0.03, 0.07])
def test_an_interrupted_generation_can_be_repeated(slow, delay):
    want = slow.generate(IDS[:50], max_tokens=20, temperature=1.0, seed=4).tokens
    with pytest.raises(KeyboardInterrupt):
        interrupt_after(delay)
        while True:
            slow.generate(IDS[:50], max_tokens=20, temperature=1.0, seed=4)
    assert slow.generate(IDS[:50], max_tokens=20, temperature=1.0, seed=4).tokens == want


# ---- generators


def test_a_generator_closed_early_leaves_the_model_usable(model):
    want = model.generate(IDS[:20], max_tokens=8).tokens
    stream = model.stream(IDS[:20], max_tokens=8)
    next(stream)
    stream.close()
    assert model.generate(IDS[:20], max_tokens=8).tokens == want
    for _ in model.stream(IDS[:20], max_tokens=8):
        break
    gc.collect()
    assert model.generate(IDS[:20], max_tokens=8).tokens == want


def test_two_streams_of_one_model_do_not_mix(model):
    """In one thread, in turns: each gives what it gives alone, or the second is refused."""
    alone = [[c.token for c in model.stream(IDS[at : at + 20], max_tokens=8)] for at in (0, 50)]
    one, two = (model.stream(IDS[at : at + 20], max_tokens=8) for at in (0, 50))
    found = [[next(one).token], []]
    for _ in range(8):
        found[1].append(next(two).token)
        found[0].append(next(one).token)
    found[1].append(next(two).token)
    assert found == alone


def test_logits_between_chunks_do_not_disturb_a_stream(model):
    alone = [c.token for c in model.stream(IDS[:20], max_tokens=8)]
    found = []
    for chunk in model.stream(IDS[:20], max_tokens=8):
        found.append(chunk.token)
        model.logits(IDS[100:110])
    assert found == alone


def test_a_stream_may_be_finished_by_another_thread(model):
    """Web servers do that: a generator begun in one thread goes on in another."""
    want = [c.token for c in model.stream(IDS[:20], max_tokens=6)]
    stream = model.stream(IDS[:20], max_tokens=6)
    found, errors = [next(stream).token], []

    def finish():
        try:
            found.extend(c.token for c in stream)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=finish, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive() and not errors, errors
    assert found == want
    assert model.generate(IDS[:5], max_tokens=2).tokens


# ---- seeds


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.5])
def test_the_same_seed_gives_the_same_text(file, temperature):
    texts = set()
    for n_threads in (1, 2, 2):
        with Model(file, n_threads=n_threads) as model:
            for _ in range(2):
                tokens = model.generate(IDS[:20], max_tokens=12, temperature=temperature, seed=11).tokens
                texts.add(tuple(tokens))
    assert len(texts) == 1


def test_other_seeds_give_other_texts(model):
    texts = {tuple(model.generate(IDS[:20], max_tokens=12, temperature=1.5, seed=s).tokens) for s in range(8)}
    assert len(texts) > 4
