"""What a session has read is not read again, and changes nothing."""

import numpy as np
import pytest

from llama_gguf import Model
from llama_gguf.testing import tiny

from ..models.goldens import nmse
from .common import IDS, same

SHAPES = {"full": {}, "windowed": dict(arch="gemma3", window=16), "recurrent": dict(arch="mamba2")}


@pytest.fixture(scope="module", params=SHAPES)
def kind(request, tmp_path_factory):
    path = tiny(tmp_path_factory.mktemp("reuse") / "tiny.gguf", context=512, **SHAPES[request.param])
    with Model(path, n_threads=2) as model:
        yield request.param, model


def close(found, want):
    assert nmse(found, want) <= 1e-10  # attention adds up in another order where a step has few tokens


def answer(model, ids, **options):
    chunks = list(model.stream(ids, max_tokens=6, **options))
    return [c.token for c in chunks if c.token is not None], chunks[-1].reused_tokens


def test_a_prompt_that_goes_on_is_read_from_where_it_is_new(kind):
    """All but the last token of the answer stands in the cache: its logits were never asked for."""
    _, model = kind
    first, _ = answer(model, IDS[:100])
    longer = [*IDS[:100], *first, *IDS[100:110]]
    fresh, none = answer(model, longer)
    answer(model, IDS[:100])
    again, reused = answer(model, longer, reuse=True)
    assert (again, none, reused) == (fresh, 0, 105)


def test_a_prompt_that_differs_is_read_from_the_difference(kind):
    """Windows have gone past it and states know of what came later: those read all of it."""
    name, model = kind
    answer(model, IDS)
    other = [*IDS[:60], *IDS[200:230]]
    again, reused = answer(model, other, reuse=True)
    assert reused == (60 if name == "full" else 0)
    assert (again, 0) == answer(model, other)


def test_the_same_prompt_needs_its_last_token_only(model):
    want, _ = answer(model, IDS[:50])
    assert answer(model, IDS[:50], reuse=True) == (want, 49)


@pytest.fixture(scope="module", params=["mamba", "mamba2", "lfm2", "qwen35", "jamba"])
def recurrent(request, tmp_path_factory):
    path = tiny(tmp_path_factory.mktemp("marks") / "tiny.gguf", request.param, context=1024)
    with Model(path, n_threads=2) as model:
        yield model


def test_states_are_kept_before_a_prompts_last_token(recurrent):
    """So that another answer to it reads one token, and what follows on another answer the rest from there."""
    first = answer(recurrent, IDS[:100], reuse=True)
    assert answer(recurrent, IDS[:100], reuse=True) == (first[0], 99)
    again = [*IDS[:100], *reversed(IDS[:20])]
    found = answer(recurrent, again, reuse=True)
    assert found == (answer(recurrent, again)[0], 99)


def test_another_last_question_is_read_from_the_end_of_the_one_before(recurrent):
    """Two marks are kept, and neither outlives the tokens before it."""
    asked = [IDS[:40], IDS[:90], IDS[:140]]
    for ids in asked:
        answer(recurrent, ids, reuse=True)
    assert sorted(recurrent.main.cache._marks[0]) == [89, 139]
    other = [*IDS[:120], *reversed(IDS[:30])]
    assert answer(recurrent, other, reuse=True)[1] == 89
    third = [*IDS[:130], *IDS[:9]]
    found = answer(recurrent, third, reuse=True)
    assert found == (answer(recurrent, third)[0], 89)
    assert answer(recurrent, [*IDS[:50], 5, 6], reuse=True)[1] == 0


def test_going_back_behind_a_mark_gives_the_same_logits(recurrent):
    session = recurrent.session()
    session.forward(IDS[:300], mark=True)
    session.forward(IDS[:20])
    session.truncate(0, 310)
    assert session.tokens[0] == [*IDS[:300], *IDS[:10]]
    close(session.forward(IDS[50:60]), recurrent.session().forward([*IDS[:300], *IDS[:10], *IDS[50:60]]))
    session.reset()
    assert session.cache._marks == [{}]
    close(session.forward(IDS[:20], mark=True), recurrent.session().forward(IDS[:20]))
    close(session.forward(IDS[30:31], mark=True), recurrent.session().forward([*IDS[:20], IDS[30]]))


def test_only_what_a_stream_has_read_is_reused(model):
    answer(model, IDS[:50])
    model.logits(IDS[:50])
    assert answer(model, IDS[:50], reuse=True)[1] == 0


def test_kept_positions_give_the_same_logits(model):
    session = model.session(n_ctx=128)
    session.forward(IDS[:80])
    assert session.keep([*IDS[:40], *IDS[50:60]]) == 40
    same(session.forward(IDS[50:60]), model.session(n_ctx=128).forward([*IDS[:40], *IDS[50:60]]))


def test_two_conversations_may_take_turns(model):
    talks = [model.conversation(max_tokens=5), model.conversation(max_tokens=5)]
    fresh = model.session(n_ctx=512)
    for question in ("ab", "cd"):
        for talk in talks:
            chunks = list(talk.ask(question))
            assert len(talk.messages) % 2 == 0
            ids = model.chat_prompt(talk.messages[:-1]).ids
            fresh.reset()
            assert chunks[0].token == int(np.argmax(fresh.forward(ids)))
