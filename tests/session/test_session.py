"""Sessions: what does not fit is refused before anything changes, and every way back leads to the same numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from llama_gguf import ContextOverflow, Model, ModelError, memory
from llama_gguf.testing import tiny

from .common import IDS, same

# ---- contexts


def test_a_context_can_be_filled_exactly(model):
    session = model.session(n_ctx=100)
    session.forward(IDS[:99])
    same(session.forward(IDS[99:100]), model.session().forward(IDS[:100]))
    assert len(session) == 100


@pytest.mark.parametrize("filled", [0, 1, 60, 100])
def test_one_token_over_is_refused_and_changes_nothing(model, filled):
    session = model.session(n_ctx=100)
    if filled:
        session.forward(IDS[:filled])
    with pytest.raises(ContextOverflow) as error:
        session.forward(IDS[filled:101])
    assert (error.value.needed, error.value.available) == (101, 100)
    assert "101" in str(error.value) or "100" in str(error.value)
    assert len(session) == filled and session.tokens[0] == IDS[:filled]
    if filled < 100:
        same(session.forward(IDS[filled:100]), model.session().forward(IDS[:100]))


def test_an_overflow_is_raised_before_any_compute(model):
    session = model.session(n_ctx=100)
    session.forward(IDS[:90])
    session.planned.plan = SimpleNamespace(lists=session.planned.plan.lists)  # cannot run
    with pytest.raises(ContextOverflow):
        session.forward(IDS[:101])
    with pytest.raises(ContextOverflow):
        session.step(IDS[:11], [0] * 11)


def test_a_step_that_one_sequence_overflows_changes_none(model):
    session = model.session(n_ctx=64, n_seq=3)
    for seq, n in enumerate((10, 64, 20)):
        session.forward(IDS[:n], seq=seq)
    with pytest.raises(ContextOverflow):
        session.step([5, 6, 7], [0, 1, 2])
    assert session.cache.lengths == [10, 64, 20]
    same(session.step([5, 7], [0, 2])[1:], model.session().forward([*IDS[:20], 7]))


def test_a_long_generation_stops_at_the_end_of_the_context(file):
    with Model(file, n_ctx=40) as model:
        result = model.generate(IDS[:30], max_tokens=100)
        assert result.finish_reason in ("context", "stop")
        assert len(result.tokens) <= 11
        with pytest.raises(ContextOverflow, match="41"):
            model.generate(IDS[:41])
        assert model.generate(IDS[:40], max_tokens=5).finish_reason in ("context", "stop")


def test_sequences_do_not_share_their_room(model):
    session = model.session(n_ctx=64, n_seq=4)
    for seq in range(4):
        session.forward(IDS[:64], seq=seq)
    assert session.cache.lengths == [64] * 4


# ---- forgetting


@pytest.mark.parametrize("keep", [0, 1, 63, 64, 65, 100, 299])
def test_truncating_and_going_on_equals_never_having_gone(model, keep):
    session = model.session()
    session.forward(IDS[:300])
    session.truncate(0, keep)
    rest = [7, 8, 9, *IDS[:50]]
    found = session.forward(rest, every=True)
    same(found, model.session().forward(IDS[:keep] + rest, every=True)[keep:])
    assert session.tokens[0] == IDS[:keep] + rest


def test_truncating_beyond_the_end_changes_nothing(model):
    session = model.session()
    session.forward(IDS[:20])
    session.truncate(0, 50)
    assert len(session) == 20
    same(session.forward(IDS[20:30]), model.session().forward(IDS[:30]))


def test_resetting_one_sequence_leaves_the_others(model):
    session = model.session(n_seq=2)
    session.forward(IDS[:70], seq=0)
    session.forward(IDS[100:170], seq=1)
    session.reset(0)
    session.forward(IDS[200:290], seq=0)
    same(session.forward([9], seq=1), model.session().forward([*IDS[100:170], 9]))


# ---- refusals


@pytest.mark.parametrize("bad", [-1, 269, 2**31 - 1, 2**31, 2**40, -(2**31) - 1])
def test_ids_outside_the_vocabulary_are_refused(model, bad):
    assert model.n_vocab == 269
    session = model.session()
    for run in (session.forward, model.logits, model.generate, model.trace, lambda ids: session.step(ids, [0, 0])):
        for ids in ([5, bad], np.array([5, bad], np.int64)):
            with pytest.raises(ModelError, match="token id"):
                run(ids)
    assert len(session) == 0
    same(session.forward(IDS[:5]), model.session().forward(IDS[:5]))


@pytest.mark.parametrize("seq", [-1, 2, 2**31])
def test_sequences_that_do_not_exist_are_refused(model, seq):
    session = model.session(n_seq=2)
    session.forward(IDS[:10])
    for run in (
        lambda: session.step([5], [seq]),
        lambda: session.forward([5], seq=seq),
        lambda: session.truncate(seq, 0),
    ):
        with pytest.raises((ModelError, IndexError)):
            run()
    assert session.cache.lengths == [10, 0]


@pytest.mark.parametrize("wanted", [[2], [-1], [0, 2**31], [0] * 300])
def test_rows_that_do_not_exist_are_refused(model, wanted):
    """Rows are read by number: none may lie outside of the step."""
    session = model.session()
    with pytest.raises((ModelError, IndexError, ValueError)):
        session.step([5, 6], [0, 0], wanted=wanted)
    assert len(session) == 0


def test_first_layers_give_all_rows_whatever_is_wanted(model):
    """A session that ends before the last layer has no choice of rows; it may not write beyond its answer."""
    first = model.session(layers=range(1))
    every = first.forward(IDS[:8], every=True)
    first.reset()
    same(first.step(IDS[:8], [0] * 8, wanted=[7]), every)


@pytest.mark.parametrize("shape", [(3, 63), (3, 65), (64,), (1, 3, 64)])
def test_residuals_of_another_width_are_refused(model, shape):
    later = model.session(layers=range(1, 2))
    with pytest.raises((ModelError, ValueError)):
        later.forward(np.zeros(shape, np.float32))
    assert len(later) == 0


@pytest.mark.parametrize("layers", [range(0), range(1, 1), range(3), range(-1, 2), range(2, 3), range(0, 2, 2)])
def test_layers_that_do_not_exist_are_refused(model, layers):
    with pytest.raises((ModelError, ValueError, IndexError)):
        model.session(layers=layers)


@pytest.mark.parametrize("n_ctx", [0, -1, 2**40])
def test_impossible_contexts_are_refused(model, n_ctx):
    with pytest.raises((ModelError, ValueError, MemoryError)):
        model.session(n_ctx=n_ctx)


@pytest.mark.parametrize("how", [{"n_seq": 0}, {"n_seq": -1}, {"kv_type": "Q9"}])
def test_impossible_sessions_are_refused(model, how):
    with pytest.raises((ModelError, ValueError)):
        model.session(**how)


def test_an_unknown_cache_type_is_refused_with_the_list(tmp_path, model):
    for act in (lambda: model.session(kv_type="Q5_0"), lambda: Model(model.path, kv_type="Q5_0")):
        with pytest.raises(ValueError, match="F32, F16, Q8_0, Q4_0, not 'Q5_0'"):
            act()


@pytest.mark.parametrize(("kv_type", "n_bytes"), [("F32", 4), ("F16", 2), ("Q8_0", 34 / 32), ("Q4_0", 18 / 32)])
def test_caches_take_the_bytes_of_their_type(tmp_path, kv_type, n_bytes):
    """Blocks of 32 have one half scale; heads that are no multiple of 32 are padded in quantized caches."""
    for head_dim, held in ((64, 64), (20, 32 if kv_type[0] == "Q" else 20)):
        path = tiny(tmp_path / f"{head_dim}.gguf", head_dim=head_dim)
        with Model(path, kv_type=kv_type) as model:
            keys, values = model.session(n_ctx=640).cache._memory[0]
            assert keys.nbytes == 2 * 64 * 11 * held * n_bytes  # key heads, positions of a page, pages
            assert values.nbytes == keys.nbytes * -(-held // 16) * 16 // held
            each = memory.bytes_per_position(model.graph.caches, kv_type)
            assert each == 2 * (keys.nbytes + values.nbytes) / (64 * 11)  # layers


def test_no_tokens_are_refused(model):
    with pytest.raises(ModelError, match="no tokens"):
        model.session().forward([])
    with pytest.raises(ModelError):
        model.session().step([], [])


def test_nan_in_weights_is_said_not_sampled(tmp_path):
    norm = np.ones(64, np.float32)
    norm[3] = np.nan
    path = tiny(tmp_path / "nan.gguf", tensors={"output_norm.weight": norm})
    with Model(path) as model, pytest.raises(ModelError, match="not finite"):
        model.generate(IDS[:4])


def test_a_file_written_over_in_place_is_noticed(tmp_path):
    """Rows of the embedding are still read from it; one replaced by rename does no harm."""
    path = tiny(tmp_path / "t.gguf")
    with Model(path) as model:
        logits = model.logits([1, 2])
        other = tiny(tmp_path / "other.gguf", seed=1)
        other.replace(path)
        assert np.array_equal(model.logits([1, 2]), logits)
    with Model(path) as model:
        with open(path, "r+b") as file:
            file.truncate(4096)
        with pytest.raises(ModelError, match="changed while it was open"):
            model.logits([1, 2])
