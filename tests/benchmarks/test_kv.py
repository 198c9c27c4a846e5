"""kv.py with an engine that only listens: what it asks for, and what its tables say."""

from types import SimpleNamespace

from benchmarks import kv
from benchmarks.measure import compare
from benchmarks.peer_driver import KV_TYPES
from benchmarks.process import Engine
from llama_gguf import cache
from llama_gguf.gguf.types import TYPES


def test_types_are_those_of_the_cache():
    assert set(kv.TYPES) == set(cache.KV_TYPES)
    assert {name: TYPES[name].id for name in cache.KV_TYPES} == KV_TYPES


def test_contexts_are_opened_with_the_engines_type(monkeypatch):
    asked = []
    monkeypatch.setattr(Engine, "start", lambda self: None)
    monkeypatch.setattr(Engine, "ask", lambda self, do, **how: asked.append((do, how)))
    engine = kv.CacheEngine("llama-gguf", "Q4_0", SimpleNamespace(peer_python=None, verbose=False))
    engine.ask("open", n_ctx=8, threads=1)
    engine.ask("clear")
    assert asked == [("open", {"n_ctx": 8, "threads": 1, "kv_type": "Q4_0"}), ("clear", {})]
    assert engine.name == "llama-gguf Q4_0"


def test_tables_tell_errors_and_speed_beside_f16():
    error = {"nmse": 0.25, "kl": 0.5, "same_top": 1.0}
    rates = compare({"llama-gguf F16": [10.0], "llama-gguf Q8_0": [15.0]})
    found = {
        "accuracy": [{"engine": "llama-gguf", "kv_type": "Q8_0", "file": error}],
        "speed": [{"name": "decode 4 at 8", **rates, "failed": {"llama.cpp Q8_0": "fell over"}}],
    }
    accuracy, speed = kv.tables(found).split("\n\n")
    assert "| llama-gguf, Q8_0 | 2.50e-01 | 5.00e-01 |     100.0% |" in accuracy
    assert "decode 4 at 8, llama-gguf Q8_0" in speed and "1.50 |" in speed and "failed" in speed
