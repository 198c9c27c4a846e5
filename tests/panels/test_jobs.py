"""A job shows the latest at most twenty times a second, ends once, and stops when told."""

import subprocess
import sys
import threading

import pytest

from llama_gguf.panels.jobs import RATE, Job


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Sink:
    """A widget that notes what it is given."""

    def __init__(self):
        object.__setattr__(self, "seen", [])

    def __setattr__(self, name, value):
        self.seen.append(value)


def ended(work, clock=None):
    """Run a job to its end; what it said then."""
    ends = []
    job = Job(work, lambda *end: ends.append(end), **({"clock": clock} if clock else {}))
    job.start()
    assert job.join(30)
    return ends


def test_a_fast_stream_is_shown_twenty_times_a_second_and_ends_complete():
    clock, sink = Clock(), Sink()

    def work(job):
        for i in range(1000):  # ten seconds
            clock.now = i / 100
            job.show(sink, value=i)

    ended(work, clock)
    assert sink.seen[0] == 0
    assert sink.seen[-1] == 999
    assert 10 * RATE * 0.7 < len(sink.seen) <= 10 * RATE + 2


def test_a_slow_stream_is_shown_at_once():
    clock, sink = Clock(), Sink()

    def work(job):
        for i in range(5):
            clock.now = i
            job.show(sink, value=i)
            assert sink.seen[-1] == i

    assert ended(work, clock) == [("done", None)]


def test_widgets_do_not_hold_each_other_back():
    one, two = Sink(), Sink()
    ended(lambda job: (job.show(one, value=1), job.show(two, value=2), job.show(one, value=3)), Clock())
    assert one.seen == [1, 3]
    assert two.seen == [2]


@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), SystemExit(3)])
def test_whatever_a_job_raises_is_told(error):
    def work(job):
        raise error

    assert ended(work) == [("error", error)]


@pytest.mark.parametrize("interrupt", [True, False])
def test_a_cancelled_or_interrupted_job_has_stopped(interrupt):
    def work(job):
        if interrupt:
            raise KeyboardInterrupt
        job.cancel()
        job.check()

    ((end, _),) = ended(work)
    assert end == "stopped"


def test_what_is_held_back_is_shown_even_if_the_job_fails():
    sink = Sink()

    def work(job):
        for i in range(3):
            job.show(sink, value=i)
        raise ValueError

    ended(work, Clock())
    assert sink.seen == [0, 2]


def test_a_job_does_not_wait_for_its_reader():
    started, go = threading.Event(), threading.Event()
    job = Job(lambda job: (started.set(), go.wait(30)), lambda *end: None)
    job.start()
    assert started.wait(30)
    assert not job.join(0.01)
    go.set()
    assert job.join(30)


def test_an_interpreter_that_ends_stops_its_panels(tiny_file):
    code = f"""if 1:
        from llama_gguf import Model, panels
        panel = panels.open(Model({str(tiny_file)!r}), "generate", max_tokens=200)
        panel.settings["temperature"].value = 1.0
        panel.model.stream = lambda *a, **k: forever(panel.model)
        def forever(m):
            from llama_gguf.generation import Chunk
            while True:
                m.logits([1, 2, 3])
                yield Chunk("a", 5, logprobs=[(5, -1.0)])
        panel.go.click()
        print(panel.state)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "running\n"
    assert done.stderr == ""


def test_a_widget_that_cannot_be_set_at_last_ends_the_job():
    class Broken:
        def __setattr__(self, name, value):
            if value:
                raise RuntimeError("no such comm")

    def work(job):
        sink = Broken()
        for i in range(2):
            job.show(sink, value=i)

    ((end, outcome),) = ended(work, Clock())
    assert end == "error" and "no such comm" in str(outcome)
