"""Threads, processes and closing: one model in many hands."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from functools import partial

import numpy as np
import pytest

from llama_gguf import Model, ModelError

from .common import IDS, same

# ---- threads and processes


def test_threads_that_share_a_session_take_turns(model):
    """Each thread extends its own sequence of one session; the numbers are those of working alone."""
    session, found = model.session(n_ctx=128, n_seq=6), {}

    def work(seq):
        rows = [session.forward(IDS[seq * 9 : seq * 9 + 20], seq=seq)]
        rows += [session.forward([IDS[200 + i]], seq=seq) for i in range(20)]
        found[seq] = np.concatenate(rows)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    for seq in range(6):
        want = model.session().forward(IDS[seq * 9 : seq * 9 + 20] + IDS[200:220], every=True)[19:]
        same(found[seq], want)


def test_threads_with_sessions_of_their_own_agree(model):
    want, found = model.session().forward(IDS[:100], every=True), [None] * 8

    def work(i):
        found[i] = model.session(n_ctx=128).forward(IDS[:100], every=True)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    for rows in found:
        same(rows, want)


def test_generations_from_many_threads_take_turns(model):
    want = [model.generate(IDS[i : i + 10], max_tokens=6).tokens for i in range(6)]
    found = [None] * 6

    def work(i):
        found[i] = model.generate(IDS[i : i + 10], max_tokens=6).tokens

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert found == want


def child_generates(path, queue):
    with Model(path, n_threads=2) as model:
        queue.put(model.generate(IDS[:20], max_tokens=5).tokens)


@pytest.mark.skipif(sys.platform == "win32", reason="has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_can_run_a_model_after_its_parent_did(file, method):
    with Model(file, n_threads=2) as model:
        want = model.generate(IDS[:20], max_tokens=5).tokens
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        child = context.Process(target=child_generates, args=(str(file), queue))
        child.start()
        assert queue.get(timeout=60) == want
        child.join(20)
        assert child.exitcode == 0
        assert model.generate(IDS[:20], max_tokens=5).tokens == want


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_may_use_its_parents_model(file):
    """Also while another thread of the parent computes: its locks are copied in whatever state they are."""
    with Model(file, n_threads=2) as model:
        want = model.generate(IDS[:20], max_tokens=5).tokens
        stop = threading.Event()
        session = model.session()

        def busy():
            while not stop.is_set():
                session.reset()
                session.forward(IDS[:300])

        thread = threading.Thread(target=busy)
        thread.start()
        try:
            for _ in range(5):
                pid = os.fork()
                if pid == 0:
                    signal.alarm(20)
                    code = 9
                    try:
                        code = 0 if model.generate(IDS[:20], max_tokens=5).tokens == want else 7
                    finally:
                        os._exit(code)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        finally:
            stop.set()
            thread.join()


# ---- closing


def test_a_closed_model_says_so(file):
    model = Model(file)
    model.generate(IDS[:5], max_tokens=2)
    model.close()
    model.close()
    uses = (model.generate, model.logits, model.trace)
    for use in (*(partial(use, IDS[:5]) for use in uses), model.session):
        with pytest.raises(ModelError, match="closed"):
            use()


def test_a_session_outlives_its_model_or_says_that_it_is_closed(file):
    model = Model(file)
    want, session = model.logits(IDS[:10]), model.session()
    model.close()
    gc.collect()
    try:
        found = session.forward(IDS[:10], every=True)
    except ModelError:
        return
    same(found, want)


def test_arrays_outlive_their_model(file):
    with Model(file) as model:
        tensor = model.tensors["blk.0.attn_q.weight"]
        raw, plain = tensor.raw, tensor.numpy()
    gc.collect()
    same(raw.view(np.float32), plain)


def test_a_vocabulary_alone_needs_no_weights(file):
    with Model(file, vocab_only=True) as model:
        assert model.ids([5, 6]) == [5, 6]
        with pytest.raises(ModelError, match="is not in 0"):
            model.ids([len(model.tokenizer)])
        assert model.detokenize(model.tokenize("the hand", bos=False)) == "the hand"
        for use in (lambda: model.generate("the"), lambda: model.logits([5]), model.session):
            with pytest.raises(ModelError, match="vocab_only"):
                use()


def test_models_do_not_leak(file):
    """Fifty models opened and closed keep no memory and no file."""
    code = """
import resource, os, sys
from llama_gguf import Model
def used():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
for i in range(60):
    with Model(sys.argv[1], n_threads=2) as m:
        m.generate([5, 6, 7], max_tokens=2)
    if i == 9:
        begin = used()
print(used() - begin, len(os.listdir("/proc/self/fd")))
"""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    grown, files = map(int, done.stdout.split())
    assert grown < 8 << 20 and files < 12


@pytest.mark.parametrize("vocab_only", [False, True])
def test_a_closed_model_shows_that_it_is(file, vocab_only):
    model = Model(file, vocab_only=vocab_only)
    assert "tensors" in repr(model)
    model.close()
    assert "closed" in repr(model) and "closed" in model._repr_html_()
