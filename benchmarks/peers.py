"""Times llama-gguf, llama.cpp and ik_llama.cpp in turn on one GGUF file, and compares them.

    python benchmarks/peers.py MODEL --peer-python VENV/bin/python [-r 5] [--all] [--json OUT]

The peers are Python packages in an environment of their own, never a part of this one:
    python3 -m venv VENV && VENV/bin/pip install numpy llama-cpp-python ik-llama-cpp-python
Each engine keeps its model loaded in its own process. Rounds take turns, so that a machine that
gets slower is slower for all; a first round warms up and is not counted. Without --peer-python
only llama-gguf runs.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import contextlib
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.machine import Machine, description
from benchmarks.measure import OURS, compare, errors, numbers, publish, random_ids, spread
from benchmarks.process import Engine, EngineError, driver_command, python_of, run_once

PEERS = ("llama.cpp", "ik_llama.cpp")
UNPACKED = f"{OURS} without repacking"
EXACT_CACHE = (OURS, "llama.cpp")  # the other takes F32 values with flash attention only
BATCH_PROMPT = 128  # flash attention of ik_llama.cpp fails on shorter sequences side by side
TEXT = Path(__file__).parents[1] / "LICENSE"


@dataclass(frozen=True)
class Case:
    """What one turn of each engine does; rates are named "prompt", "decode" or "batch"."""

    threads: int
    prompt: int = 0
    decode: int = 0
    deep: bool = False  # decode behind the whole prompt instead of one token
    sequences: int = 1  # more than one: only decode, together, each behind the prompt
    cpu_time: bool = False  # the processor's seconds, where others use the machine as well

    @property
    def n_ctx(self):
        """Positions of one sequence."""
        return self.prompt + self.decode + 16

    def metrics(self):
        """{rate: how the table calls it}"""
        if self.sequences > 1:
            return {"batch": f"decode {self.sequences} x {self.decode}"}
        where = f" at {self.prompt}" if self.deep else ""
        return {"prompt": f"prompt {self.prompt}", "decode": f"decode {self.decode}{where}"}

    def question(self, n_vocab):
        """The arguments of Engine.ask."""
        if self.sequences > 1:
            ids = random_ids(self.sequences * self.decode, n_vocab, seed=1)
            rows = [ids[i :: self.decode] for i in range(self.decode)]
            prompt = random_ids(self.prompt, n_vocab)
            return {"do": "batch_turn", "prompt": prompt, "rows": rows}
        ids = random_ids(self.prompt + self.decode, n_vocab)
        prompt, tokens = ids[: self.prompt], ids[self.prompt :]
        return {"do": "turn", "prompt": prompt, "tokens": tokens, "deep": self.deep, "cpu_time": self.cpu_time}


def cases(args):
    """The plain case for each number of threads; depths and batches with the most threads."""
    most = max(args.threads)
    yield from (Case(n, args.prompt, args.decode) for n in args.threads)
    yield from (Case(most, depth, args.decode, deep=True) for depth in args.depth)
    yield from (Case(most, BATCH_PROMPT, args.decode, sequences=n) for n in args.batch)


def run_case(case, engines, n_vocab, rounds, machine):
    """[result of each metric]; engines take turns in every round. One that fails has no rates."""
    turns = Turns(case, n_vocab)
    for engine in engines:
        turns.attempt(engine, turns.begin)
    for number in range(rounds + 1):
        machine.sample()
        for engine in engines:
            turns.attempt(engine, turns.take, number > 0)
    return turns.results()


class Turns:
    """The rounds of one case: what each engine reached, and which of them failed."""

    def __init__(self, case, n_vocab):
        self.case, self.question = case, case.question(n_vocab)
        self.rounds, self.failed = {}, {}

    def attempt(self, engine, act, *args):
        if engine.name in self.failed:
            return
        try:
            act(engine, *args)
        except EngineError as error:
            print(f"  {error}", file=sys.stderr)
            self.failed[engine.name] = str(error)
            self.rounds.pop(engine.name, None)
            engine.restart()

    def begin(self, engine):
        case = self.case
        engine.ask("open", n_ctx=case.n_ctx, threads=case.threads, n_seq=case.sequences)

    def take(self, engine, counts):
        found = engine.ask(**self.question)
        self.rounds.setdefault(engine.name, []).extend([found] * counts)

    def results(self):
        for rate, name in self.case.metrics().items():
            rates = {e: [found[rate] for found in all] for e, all in self.rounds.items()}
            told = {"case": asdict(self.case), "rate": rate, "name": name}
            yield {**told, **compare(rates), "failed": self.failed}


def start_command(label, args):
    """A whole program that loads, reads a prompt and prints one token."""
    text, n_ctx = "The capital of France is", "2048"
    how = ["-t", str(max(args.threads)), "-c", n_ctx]
    if label == OURS:
        run = [sys.executable, "-m", "llama_gguf", "run", str(args.model), "-p", text, "-n", "1"]
        return [*run, "--no-chat", "--no-echo", *how]
    extra = ["--no-repack"] if label == UNPACKED else []
    driver = driver_command(engine_of(label), args.peer_python)
    return [*driver, *how, *extra, "--first-token", str(args.model), text]


def engine_of(label):
    return OURS if label == UNPACKED else label


def load_seconds(label, args):
    """Until model and a small context stand, in a process where Python runs already."""
    how = {"path": str(args.model), "threads": max(args.threads), "repack": label != UNPACKED}
    with Engine(engine_of(label), args.peer_python, args.verbose) as engine:
        return engine.load(**how)["seconds"]


def run_starts(args, engines):
    """{label: {"load", "first", "whole": spreads of seconds, "peak_bytes"}}; rounds take turns again."""
    found = {label: [] for label in (OURS, UNPACKED, *(e for e in engines if e != OURS))}
    for number in range(args.rounds + 1):
        for label, rounds in found.items():
            once = run_once(start_command(label, args), args.verbose)
            once["load"] = load_seconds(label, args)
            rounds += [once] * (number > 0)
    return {label: summary(rounds) for label, rounds in found.items()}


def summary(rounds):
    peaks = [once["peak_bytes"] for once in rounds if once["peak_bytes"] is not None]
    seconds = {what: spread([once[what] for once in rounds]) for what in ("load", "first", "whole")}
    return seconds | {"peak_bytes": max(peaks, default=None)}


def run_accuracy(args, engines, tokens):
    """Errors of each engine's logits against ours with float activations, as it was timed and
    in its most exact way (F32 cache, no flash attention)."""
    with tempfile.TemporaryDirectory() as folder:
        with Engine(OURS, verbose=args.verbose) as exact:
            exact.ask("load", path=str(args.model), threads=max(args.threads), exact=True)
            reference = logits_of(exact, tokens, folder, args, plain=True)
        return [
            {
                "engine": engine.name,
                "cache": "F32" if plain else "F16",
                **errors(logits_of(engine, tokens, folder, args, plain), reference),
            }
            for engine in engines
            for plain in (False, True)[: 1 + (engine.name in EXACT_CACHE)]
        ]


def logits_of(engine, tokens, folder, args, plain):
    import numpy as np

    path = tempfile.mktemp(".npy", dir=folder)
    engine.ask("open", n_ctx=len(tokens), threads=max(args.threads), plain=plain)
    engine.ask("logits", tokens=tokens, path=path)
    return np.load(path, mmap_mode="r")


def benchmark(args):
    """Everything that was asked for, as one dictionary."""
    names = [OURS, *(args.peers if args.peer_python else ())]
    for name in names:
        python_of(name, args.peer_python)
    found = {"model": args.model.name, "model_bytes": args.model.stat().st_size}
    found["starts"] = run_starts(args, names) if args.starts else {}
    machine = Machine(args.threads)
    with contextlib.ExitStack() as stack:
        engines = [
            stack.enter_context(Engine(name, args.peer_python, args.verbose)) for name in names
        ]
        load = {"path": str(args.model), "threads": max(args.threads)}
        found["loads"] = {engine.name: engine.load(**load) for engine in engines}
        found["work"] = engines[0].ask("work")
        found["rates"] = run_cases(args, engines, found["loads"], machine)
        found["peaks"] = {e.name: e.ask("memory")["peak_bytes"] for e in engines}
        if args.accuracy:
            tokens = engines[0].ask("tokenize", text=args.text.read_text())[: args.tokens]
            found["accuracy"] = run_accuracy(args, engines, tokens)
    return found | {"machine": description(), "figures": machine.figures()}


def run_cases(args, engines, loads, machine):
    n_vocab = min(found["n_vocab"] for found in loads.values())
    results = []
    for case in cases(args):
        print(f"{case} ...", file=sys.stderr, flush=True)
        results += run_case(case, engines, n_vocab, args.rounds, machine)
    return results


def arguments(argv=None):
    from llama_gguf.engine import default_threads

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", help="a path, or any name that `llama-gguf run` takes")
    add("--peer-python", metavar="PYTHON", help="the peers' own Python")
    add("--peers", default=",".join(PEERS), help="also: ik_llama.cpp:repack (default: %(default)s)")
    add("-p", "--prompt", type=int, default=512, metavar="TOKENS")
    add("-n", "--decode", type=int, default=64, metavar="TOKENS")
    add("-r", "--rounds", type=int, default=5)
    add("-t", "--threads", type=numbers, default=(default_threads(),), metavar="N[,N]")
    add("--depth", type=numbers, default=(), metavar="N[,N]", help="decode behind N tokens, too")
    add("--batch", type=numbers, default=(), metavar="N[,N]", help="N sequences at once, too")
    add("--all", action="store_true", help="1 thread, depth 4096, batches of 4 and 16, too")
    add("--no-starts", dest="starts", action="store_false", help="no whole programs")
    add("--no-accuracy", dest="accuracy", action="store_false", help="no errors of logits")
    add("--text", type=Path, default=TEXT, help="what accuracy is measured on")
    add("--tokens", type=int, default=128, help="as many tokens of it")
    add("--json", type=Path, metavar="OUT", help="write all figures, - for stdout")
    add("-v", "--verbose", action="store_true", help="show what the engines say")
    return completed(parser.parse_args(argv))


def completed(args):
    from llama_gguf.hub import resolve

    args.model = Path(resolve(args.model))
    args.peers = [name for name in args.peers.split(",") if name]
    if args.all:
        args.threads = tuple(sorted({1, *args.threads}))
        args.depth, args.batch = args.depth or (4096,), args.batch or (4, 16)
    return args


def main():
    args = arguments()
    try:
        found = benchmark(args)
    except EngineError as error:
        raise SystemExit(f"Error: {error}") from None
    publish(found, report.peers(found), args.json)


if __name__ == "__main__":
    main()
