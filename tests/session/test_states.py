"""Sequences with states: what cannot be taken back runs again, or leaves an empty sequence, never a wrong one."""

import numpy as np
import pytest

from llama_gguf import ContextOverflow, memory

from ..models.goldens import exact, golden, nmse
from .common import same

NAMES = ("mamba", "granitehybrid", "qwen35", "lfm2", "falcon-h1")
IDS = np.random.default_rng(0).integers(2, 260, 400).tolist()
SAME = 1e-10  # two orders of the same float32 sums


@pytest.fixture(params=NAMES)
def model(request):
    with exact(request.param, n_ctx=512, n_threads=2) as model:
        yield model


@pytest.mark.parametrize("keep", [0, 1, 63, 299])
def test_truncating_and_going_on_equals_never_having_gone(model, keep):
    session = model.session()
    session.forward(IDS[:300])
    session.truncate(0, keep)
    rest = [7, 8, 9, *IDS[:20]]
    found = session.forward(rest, every=True)
    assert session.tokens[0] == IDS[:keep] + rest
    assert nmse(found, model.session().forward(IDS[:keep] + rest, every=True)[keep:]) <= SAME


def test_truncating_to_the_end_keeps_the_state(model):
    session = model.session()
    session.forward(IDS[:20])
    session.truncate(0, 50)
    assert len(session) == 20
    assert nmse(session.forward(IDS[20:30]), model.session().forward(IDS[:30])) <= SAME


def test_resetting_one_sequence_leaves_the_others(model):
    session = model.session(n_seq=2)
    session.forward(IDS[:70], seq=0)
    session.forward(IDS[100:170], seq=1)
    session.reset(0)
    found = session.forward(IDS[200:290], seq=0)
    assert nmse(found, model.session().forward(IDS[200:290])) <= SAME
    assert nmse(session.forward([9], seq=1), model.session().forward([*IDS[100:170], 9])) <= SAME


def test_a_step_that_one_sequence_overflows_changes_none(model):
    session = model.session(n_ctx=64, n_seq=3)
    for seq, n in enumerate((10, 64, 20)):
        session.forward(IDS[:n], seq=seq)
    with pytest.raises(ContextOverflow):
        session.step([5, 6, 7], [0, 1, 2])
    assert session.cache.lengths == [10, 64, 20]
    found = session.step([5, 7], [0, 2])
    assert nmse(found[1:], model.session().forward([*IDS[:20], 7])) <= SAME


def test_a_sequence_may_come_up_twice_in_one_step(model):
    session = model.session(n_seq=2)
    rows = session.step([*IDS[:5], *IDS[50:53], *IDS[5:9]], [0] * 5 + [1] * 3 + [0] * 4)
    whole = model.session().forward(IDS[:9], every=True)
    assert nmse(rows[[0, 1, 2, 3, 4, 8, 9, 10, 11]], whole) <= SAME
    assert nmse(rows[5:8], model.session().forward(IDS[50:53], every=True)) <= SAME


class Stopped:
    """A plan that is interrupted halfway."""

    def __init__(self, plan):
        self.plan, self.lists = plan, plan.lists

    def run(self, *args):
        self.plan.run(*args, stop=len(self.plan) // 2)
        raise KeyboardInterrupt


def test_an_interrupted_step_leaves_its_sequence_empty_and_the_others_as_they_were(model):
    session = model.session(n_seq=2)
    session.forward(IDS[:30], seq=0)
    session.forward(IDS[100:130], seq=1)
    plan, session.planned.plan = session.planned.plan, Stopped(session.planned.plan)
    with pytest.raises(KeyboardInterrupt):
        session.step([3], [0])
    session.planned.plan = plan
    assert session.cache.lengths == [0, 30] and session.tokens == [[], IDS[100:130]]
    assert nmse(session.forward(IDS[:20]), model.session().forward(IDS[:20])) <= SAME
    assert nmse(session.forward([9], seq=1), model.session().forward([*IDS[100:130], 9])) <= SAME


def test_a_trace_may_go_back(model):
    with model.trace(IDS[:20]) as t:
        logits = t.logits.copy()
        first = t["blk.0.resid_post"].copy()
    with model.trace(IDS[:20]) as t:
        same(t["blk.0.resid_post"], first)
        same(t.logits, logits)
    assert nmse(logits, model.logits(IDS[:20])) <= SAME


@pytest.mark.parametrize("how", [{}, {"exact": False}], ids=["exact", "default"])
@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_threads_does_not_change_a_bit(name, how):
    ids, found = golden(name)[0], []
    for n in (1, 2, 3):
        with exact(name, n_threads=n, **how) as model:
            session = model.session()
            found.append((model.logits(ids), np.concatenate([session.forward([i]) for i in ids])))
    for logits, single in found[1:]:
        same(logits, found[0][0])
        same(single, found[0][1])


def test_states_are_accounted_for():
    with exact("mamba") as model:
        each = 4 * (3 * 128 + 128 * 16)  # a layer's last rows of the convolution, and its state of 16 a channel
        assert memory.bytes_of_states(model.graph.states) == model.h.layers * each
        session = model.session(n_seq=3)
        assert sum(a.nbytes for a in session.cache._states.values()) == 3 * model.h.layers * each
        assert not session.cache._memory
