"""What sizing says a model will take is what it takes: array by array, and by the memory of a fresh process."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from llama_gguf import GGUFFile, Model, memory, sizing
from llama_gguf.cli import cli
from llama_gguf.errors import ModelError, OutOfMemory
from llama_gguf.gguf import write_gguf
from llama_gguf.testing import FAMILIES, tiny

MEASURE = """
import json, sys
import llama_gguf.model, llama_gguf.session, llama_gguf.sizing
from llama_gguf import GGUFFile, Model

def resident():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))

path, options = sys.argv[1], json.loads(sys.argv[2])
with GGUFFile(path) as file:
    told = llama_gguf.sizing.estimate(file, **options).total
before = resident()
with Model(path, **options) as m:
    session = m.session()
    session.forward([i * 7 % m.n_vocab for i in range(m.n_ctx - 1)])
    session.forward([5])
    print(json.dumps([told, resident() - before]))
"""

LARGE = {
    "dense": ("llama", dict(layers=4, width=512, heads=8, kv_heads=8, ff=2048, tokens=4096), dict(n_ctx=2048)),
    "windows": (
        "gemma3",
        dict(layers=6, width=512, heads=8, kv_heads=4, head_dim=64, ff=2048, tokens=16384, window=256),
        dict(n_ctx=2048, kv_type="Q8_0"),
    ),
    "from the file": (
        "llama",
        dict(layers=6, width=512, heads=8, kv_heads=2, ff=2048, tokens=16384, tied=True),
        dict(n_ctx=1024, repack=False),
    ),
    "latent": ("deepseek2", dict(layers=6, width=512, ff=2048, tokens=8192), dict(n_ctx=1024)),
}


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request, tmp_path_factory):
    """(an open file, its model) of every family."""
    path = tiny(tmp_path_factory.mktemp("tiny") / "t.gguf", request.param, type="Q8_0")
    with GGUFFile(path) as file, Model(path, n_threads=2, repack=True) as model:
        yield file, model


def test_caches_states_and_weights_are_those_that_are_made(pair):
    file, model = pair
    told = sizing.estimate(file, n_ctx=100, n_seq=3, kv_type="Q8_0", repack=True, n_threads=2)
    cache = model.session(n_ctx=100, n_seq=3, kv_type="Q8_0").cache
    assert told.cache == sum(array.nbytes for pair in cache._memory.values() for array in pair)
    assert told.states == sum(array.nbytes for array in cache._states.values())
    assert sum(row["bytes"] for row in told.layers) == told.cache + told.states


def test_kept_states_are_those_that_are_made(pair):
    file, model = pair
    told = sizing.estimate(file, n_ctx=100, n_seq=2, repack=True, n_threads=2)
    session = model.session(n_ctx=100, n_seq=2)
    if not session.ends or not model.graph.causal:
        pytest.skip("an encoder has no prompt to come back to")
    for seq in range(2):
        for _ in range(4):
            session.forward([1, 2, 3], seq, mark=True)
    kept = [states for marks in session.cache._marks for states in marks.values()]
    assert told.kept == sum(array.nbytes for states in kept for array in states.values())
    assert told.own - told.kept == told.weights + told.cache + told.states + told.activations + told.vocabulary
    assert (told.kept > 0) == bool(told.states) == ("\nkept " in str(told))
    rooms = {id(a.base): a.base.nbytes for name, a in model.store._arrays.items() if name in model.store._bindings}
    panels = {name.partition("[")[0] for name in model.store._bindings}
    vectors = sum(4 * t.n_elements for t in file.tensors.values() if t.name not in panels)
    assert sum(rooms.values()) - 64 <= told.weights <= sum(rooms.values()) + vectors
    assert 0 < told.read <= sum(rooms.values())


def test_buffers_are_those_that_are_made(pair):
    """The arena is counted as far as it is written: all of it, but for rows that make no logits."""
    file, model = pair
    session = model.session(n_ctx=200)
    told = sizing.estimate(file, n_ctx=200, repack=True, n_threads=2)
    made = sum(array.nbytes for array in session.planned.plan.owners if hasattr(array, "nbytes"))
    logits = 4 * session.batch * sum(t.width + 16 for t in session.planned.tasks if t.wanted)  # and what comes of them
    assert told.batch == session.batch
    assert told.activations <= 1.01 * made + 65536
    assert told.activations >= made - logits - 65536


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="resident memory is read from /proc")
@pytest.mark.parametrize("name", LARGE)
def test_a_fresh_process_takes_what_was_told(name, tmp_path):
    arch, sizes, options = LARGE[name]
    path = tiny(tmp_path / "t.gguf", arch, type="Q8_0", context=4096, **sizes)
    command = [sys.executable, "-c", MEASURE, str(path), json.dumps(options | {"n_threads": 1})]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    told, measured = json.loads(done.stdout)
    assert told == pytest.approx(measured, rel=0.1)


# --- what does not fit ----------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return tiny(tmp_path / "t.gguf", type="Q8_0", width=256, ff=512, context=65536)


@pytest.fixture
def short(path, monkeypatch):
    """A function that leaves so much free memory; `path`'s weights take 1.6 MB, a position 1 kB."""
    return lambda n_bytes: monkeypatch.setattr(memory, "available", lambda: n_bytes)


def test_what_cannot_fit_is_refused_with_the_numbers(path, short):
    short(40_000_000)
    with pytest.raises(OutOfMemory, match=r"but 40\.0 MB .* cache of 65,536 positions .*; a context of \d+,\d+"):
        Model(path, n_ctx=65536)
    with pytest.raises(OutOfMemory, match="no context fits") as told:
        short(1_500_000)
        Model(path)
    assert "\n" not in str(told.value) and str(path) in str(told.value)
    assert isinstance(told.value, MemoryError)
    with Model(path, n_ctx=4096, force=True) as m:
        assert m.n_ctx == 4096 and len(m.logits([1, 2])) == 2


def test_the_context_that_it_names_fits(path, short):
    short(40_000_000)
    with GGUFFile(path) as file:
        most = sizing.estimate(file).largest_context
        assert sizing.estimate(file, n_ctx=most).fits and not sizing.estimate(file, n_ctx=most + 256).fits
    Model(path, n_ctx=most).close()
    with pytest.raises(OutOfMemory):
        Model(path, n_ctx=most + 256)


def test_a_context_that_nobody_asked_for_shrinks(path, short, monkeypatch):
    monkeypatch.setattr(memory, "SHARE", 1.0)
    short(40_000_000)
    with Model(path) as m, GGUFFile(path) as file:
        assert 512 <= m.n_ctx < 65536
        assert sizing.estimate(file).n_ctx == m.n_ctx and sizing.estimate(file, n_ctx=m.n_ctx).fits


def test_what_is_no_model_has_no_size(tmp_path):
    write_gguf(tmp_path / "x.gguf", {"general.architecture": "nothing"}, [])
    with GGUFFile(tmp_path / "x.gguf") as file, pytest.raises(ModelError, match="'nothing' is not one"):
        sizing.estimate(file)


# --- speed, and the command -----------------------------------------------------------------------


def test_speed_is_that_of_reading_weights_and_cache(path):
    with GGUFFile(path) as file:
        told = sizing.estimate(file, n_ctx=1024, repack=True)
        matrices = sum(t.n_bytes for t in file.tensors.values() if len(t.shape) == 2 and t.name != "token_embd.weight")
    assert told.read == pytest.approx(matrices, rel=0.03)  # 269 rows are not whole panels
    assert told.tokens_per_second(told.read + told.cache, 1023) == pytest.approx(1)
    assert told.tokens_per_second(told.read + told.cache / 2, 511) == pytest.approx(1)


def test_a_token_reads_the_experts_that_it_meets(tmp_path):
    few, all_ = (
        tiny(tmp_path / f"{n}.gguf", "qwen3moe", type="Q8_0", experts=8, experts_used=n) for n in (2, 8)
    )
    with GGUFFile(few) as a, GGUFFile(all_) as b:
        told, whole = sizing.estimate(a), sizing.estimate(b)
        experts = sum(t.n_bytes for name, t in a.tensors.items() if "_exps" in name)
    assert told.weights == whole.weights
    assert whole.read - told.read == pytest.approx(experts * 6 / 8, rel=0.05)


def test_memory_is_read_at_a_plausible_rate():
    assert 1e8 < sizing.bandwidth(2, n_bytes=16 << 20) < 1e13


def test_the_command_tells_numbers(path):
    done = CliRunner().invoke(cli, ["plan", str(path), "-c", "2048", "--kv-type", "q8_0", "--json"])
    told = json.loads(done.stdout)
    with GGUFFile(path) as file:
        want = sizing.estimate(file, n_ctx=2048, kv_type="Q8_0").as_dict()
    for key in ("weights", "cache", "activations", "n_ctx", "kv_type", "fits", "layers"):
        assert told[key] == want[key]
    assert told["tokens_per_second"]["start"] > told["tokens_per_second"]["end"] > 0
    text = CliRunner().invoke(cli, ["plan", str(path), "-c", "2048"]).stdout
    assert "2,048 positions as F16" in text and "largest context that fits: 65,536" in text


def test_a_model_is_estimated_by_name(path):
    told = Model.estimate(str(path), n_ctx=512)
    assert told.n_ctx == 512
    shown = told._repr_html_()
    assert "<svg" in shown and "activations" in shown and "<script" not in shown


def test_learned_positions_are_an_end(tmp_path):
    with GGUFFile(tiny(tmp_path / "t.gguf", "gpt2")) as file, pytest.raises(ModelError, match="has learned 256"):
        sizing.estimate(file, n_ctx=257)


def test_the_commands_load_it_with_force_only(path, short):
    short(3_000_000)
    line = ["run", str(path), "-p", "a", "-n", "1", "-c", "8192", "--no-chat"]
    done = CliRunner().invoke(cli, line)
    assert done.exit_code == 1 and "8,192 positions" in done.stderr and done.stderr.count("\n") == 1
    assert CliRunner().invoke(cli, [*line, "--force"]).exit_code == 0
