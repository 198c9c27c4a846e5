"""The rounds of peers.py with engines that only count, and the driver's side of the same talk."""

import io
import json
from types import SimpleNamespace

from benchmarks import peer_driver as driver
from benchmarks import peers, report
from benchmarks.measure import compare, spread
from benchmarks.process import EngineError


class Fake:
    """An engine process that gives `rate` tokens/s and fails from its `fails`-th turn on."""

    def __init__(self, name, rate, fails=99):
        self.name, self.rate, self.fails, self.asked, self.restarts = name, rate, fails, [], 0

    def ask(self, do, **arguments):
        self.asked.append(do)
        if self.asked.count("turn") >= self.fails:
            raise EngineError(f"{self.name} fell over")
        return {"prompt": self.rate * 2, "decode": self.rate, "batch": self.rate}

    def restart(self):
        self.restarts += 1


class NoMachine:
    samples = 0

    def sample(self):
        self.samples += 1


def test_rounds_take_turns_and_the_first_is_not_counted():
    engines, machine = [Fake("llama-gguf", 30), Fake("llama.cpp", 10)], NoMachine()
    prompt, decode = peers.run_case(peers.Case(2, 8, 4), engines, 100, 3, machine)
    assert [e.asked for e in engines] == [["open", "turn", "turn", "turn", "turn"]] * 2
    assert decode["engines"]["llama-gguf"]["rounds"] == [30, 30, 30]
    assert decode["ratios"]["faster peer"]["median"] == 3
    assert (prompt["name"], decode["name"]) == ("prompt 8", "decode 4")
    assert machine.samples == 4


def test_a_peer_that_fails_is_started_again_and_left_out():
    engines = [Fake("llama-gguf", 30), Fake("llama.cpp", 10, fails=2), Fake("ik_llama.cpp", 20)]
    results = list(peers.run_case(peers.Case(2, 8, 4), engines, 100, 3, NoMachine()))
    assert [e.restarts for e in engines] == [0, 1, 0]
    assert set(results[0]["engines"]) == {"llama-gguf", "ik_llama.cpp"}
    assert "fell over" in results[0]["failed"]["llama.cpp"]


def test_questions_hold_the_tokens():
    plain = peers.Case(1, 8, 4).question(100)
    assert (len(plain["prompt"]), len(plain["tokens"])) == (8, 4)
    batch = peers.Case(1, 8, 4, sequences=3).question(100)
    assert batch["do"] == "batch_turn"
    assert [len(row) for row in batch["rows"]] == [3] * 4


def test_starts_time_loading_with_repacking_and_without(monkeypatch):
    loads = []
    once = {"first": 1.0, "whole": 2.0, "peak_bytes": 10}
    monkeypatch.setattr(peers, "run_once", lambda command, verbose: once | {"command": command})
    monkeypatch.setattr(peers.Engine, "start", lambda self: None)
    monkeypatch.setattr(peers.Engine, "close", lambda self: None)
    monkeypatch.setattr(peers.Engine, "load", lambda self, **how: loads.append((self.name, how)) or {"seconds": 3.0})
    args = SimpleNamespace(rounds=2, threads=(1, 2), model="m.gguf", peer_python="python", verbose=False)
    found = peers.run_starts(args, ["llama-gguf", "llama.cpp"])
    assert list(found) == ["llama-gguf", "llama-gguf without repacking", "llama.cpp"]
    assert found["llama.cpp"]["load"]["rounds"] == [3.0, 3.0]
    assert [(name, how["repack"]) for name, how in loads[:3]] == [
        ("llama-gguf", True), ("llama-gguf", False), ("llama.cpp", True)
    ]  # fmt: skip
    assert "--no-repack" in peers.start_command("llama-gguf without repacking", args)


def test_all_adds_depth_batches_and_one_thread(tmp_path):
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF")
    args = peers.arguments([str(model), "--all", "-t", "2"])
    found = list(peers.cases(args))
    assert [c.threads for c in found] == [1, 2, 2, 2, 2]
    assert [c.sequences for c in found] == [1, 1, 1, 4, 16]
    assert [c.prompt for c in found if c.deep] == [4096]
    assert all(c.n_ctx >= c.prompt + c.decode for c in found)


def test_tables_show_what_failed():
    case = {"threads": 2, "deep": False, "sequences": 1}
    rates = compare({"llama-gguf": [20.0], "llama.cpp": [10.0]})
    machine = {"processor": "P", "cores": 2, "instruction_set": "avx2", "system": "S"}
    found = {
        "model": "m.gguf",
        "model_bytes": 1e6,
        "machine": {**machine, "python": "3", "llama-gguf": "0"},
        "loads": {n: {"version": n} for n in ("llama-gguf", "llama.cpp", "ik_llama.cpp")},
        "figures": {2: {"read_gb_s": spread([10.0]), "peak_gflop_s": spread([100.0])}},
        "work": {"bytes_per_token": 4e8, "operations_per_token": 1e9},
        "rates": [{"case": case, "rate": "decode", "name": "decode 64", **rates}],
        "starts": {"llama-gguf": peers.summary([{"load": 0.5, "first": 2, "whole": 3, "peak_bytes": 1_200_000}])},
    }
    text = report.peers(found)
    assert "| 0.500 (0.500..0.500) | 2.00 (2.00..2.00) | 3.00 (3.00..3.00) |               1 |        1.20 |" in text
    line = next(line for line in text.splitlines() if line.startswith("| decode 64"))
    assert "2.00 (2.00..2.00)" in line
    assert "failed" in line
    assert "8.00 GB/s, 80%" in text


class Counting:
    """What the driver asks of an engine, told in order."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *args: self.told.append((name, *args))


def test_a_turn_decodes_behind_one_token_or_behind_the_prompt(monkeypatch):
    monkeypatch.setattr(driver, "SETTLE", 0)
    engine = Counting()
    found = driver.turn(engine, [1, 2, 3], [4, 5])
    parts = [("clear",), ("extend", [1, 2, 3]), ("clear",), ("extend", [1])]
    assert engine.told == [*parts, ("extend", [4]), ("extend", [5])]
    assert found["prompt"] > 0 and found["decode"] > 0
    engine = Counting()
    driver.turn(engine, [1, 2, 3], [4, 5], deep=True)
    assert engine.told == [*parts[:2], ("extend", [4]), ("extend", [5])]


def test_a_batch_turn_reads_each_prompt_then_steps_all(monkeypatch):
    monkeypatch.setattr(driver, "SETTLE", 0)
    engine = Counting()
    driver.batch_turn(engine, [1], [[2, 3], [4, 5]])
    fills = [("clear",), ("extend", [1], 0), ("extend", [1], 1)]
    assert engine.told == [*fills, ("step", [2, 3]), ("step", [4, 5])]


def test_the_driver_answers_line_by_line_and_survives_errors():
    questions = io.StringIO('{"do": "memory"}\n{"do": "work"}\n{"do": "nonsense"}\n')
    answers = io.StringIO()
    driver.serve(object(), questions, answers)
    memory, work, nonsense = map(json.loads, answers.getvalue().splitlines())
    assert memory["answer"]["peak_bytes"] > 1e6
    assert "AttributeError" in work["error"]
    assert "KeyError" in nonsense["error"]


def test_our_side_of_the_driver_runs(smollm2):
    engine = driver.Ours()
    engine.load(str(smollm2), 1, repack=False)
    engine.open(16, 1, n_seq=2)
    assert engine.extend([1, 2]).shape == (engine.n_vocab,)
    engine.clear()
    engine.step([1, 2])
    work = engine.work()
    assert 0 < work["bytes_per_token"] < smollm2.stat().st_size
    assert work["operations_per_token"] > work["bytes_per_token"]
