"""The instruction set and the thread count fit the machine, and a forked child can compute."""

import math
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llama_gguf import engine
from llama_gguf.engine import cpu

CPUINFO = Path("/proc/cpuinfo")


def python(code, **environment):
    """Standard output of a fresh interpreter, without surrounding blanks."""
    env = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | environment
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()


@pytest.mark.skipif(not CPUINFO.exists(), reason="only Linux lists them in a file")
def test_features_are_those_the_kernel_lists():
    words = set(CPUINFO.read_text().replace("\n", " ").split())
    tables = (cpu.LEAF_1_ECX, cpu.LEAF_7_EBX, cpu.LEAF_7_ECX, cpu.LEAF_7_EDX, cpu.LEAF_7_1_EAX)
    named = {name for table in tables for name in table} | {"asimddp", "asimdhp"}
    assert cpu.features() - {"neon"} == named & words


def test_the_best_set_that_runs_here_is_chosen():
    runnable = [isa for isa in cpu.NEEDS if engine.built(isa) and not cpu.missing(isa)]
    code = "from llama_gguf import engine; print(engine.isa)"
    assert python(code, LLAMA_GGUF_ISA="") == runnable[0]


@pytest.mark.parametrize("isa", cpu.NEEDS)
def test_an_instruction_set_can_be_forced(isa):
    code = "from llama_gguf import engine; print(engine.isa, engine.kernels().__name__)"
    answer = python(code, LLAMA_GGUF_ISA=isa)
    lacks = cpu.missing(isa)
    if lacks:
        assert f"this machine lacks {', '.join(lacks)}" in answer
    else:
        assert answer == f"{isa} llama_gguf.engine.{isa}"


def test_an_unknown_instruction_set_is_refused_by_name():
    answer = python("from llama_gguf import engine; engine.isa", LLAMA_GGUF_ISA="sse9")
    assert "LLAMA_GGUF_ISA=sse9 is none of amx, avx512, avxvnni, avx2, neon, generic" in answer


def test_only_the_chosen_kernels_are_imported():
    code = """if 1:
        import sys
        from llama_gguf import engine
        engine.kernels()
        print(*(isa for isa in engine.cpu.NEEDS if f"llama_gguf.engine.{isa}" in sys.modules))"""
    assert python(code, LLAMA_GGUF_ISA="generic") == "generic"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_threads_respect_the_affinity_mask():
    code = """if 1:
        import os
        from llama_gguf.engine import default_threads
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        print(default_threads())"""
    assert python(code) == "1"


def test_omp_num_threads_has_the_last_word(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7,2")
    assert cpu.usable_threads() == 7


@pytest.mark.parametrize(
    ("limit", "cpus"),
    [("200000 100000", 2), ("150000 100000", 1), ("5000 100000", 1)],
)
def test_a_container_quota_is_rounded_down(limit, cpus):
    assert cpu.cpus_of(limit) == cpus


@pytest.mark.parametrize("limit", ["", "max 100000", "-1 100000", "100000 0", "nonsense"])
def test_no_quota_is_no_limit(limit):
    assert cpu.cpus_of(limit) == math.inf


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_can_start_its_own_team():
    team()
    child = multiprocessing.get_context("fork").Process(target=team)
    child.start()
    child.join(30)
    hung = child.is_alive()
    if hung:
        child.kill()
    assert not hung
    assert child.exitcode == 0
    team()


def team():
    """Runs a parallel region of two threads; the tensor is large enough to be worth them."""
    import numpy as np

    from llama_gguf.engine.quants import dequantize

    ones = np.ones((1024, 1024), np.float32)
    rows = dequantize(ones.view(np.uint8), 0, 1024, n_threads=2)
    assert np.array_equal(rows, ones)
