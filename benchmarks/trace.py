"""What looking inside costs: decoding beside a trace, prompts whose values are kept, decoding under steering.

python benchmarks/trace.py MODEL [-p 256] [-n 64] [-r 7] [-t 1 --cpu]

Rounds of all kinds take turns, so that they meet the same machine. On one that is shared, --cpu counts the processor's
time instead of the clock's, which is fair for one thread (-t 1).
"""

import os
import sys

if __name__ == "__main__":  # this folder's trace.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import figure, markdown, publish, random_ids, ratio, spread, spread_text
from llama_gguf import Model, lens
from llama_gguf.hub import resolve

clock = time.perf_counter
PLAIN = ("prompt, logits of the last token", "prompt, logits of every token", "decoding", "planning a trace")


def seconds(work):
    begin = clock()
    work()
    return clock() - begin


def prompts(model, ids):
    """{what: function} that each run one prompt, without their planning."""
    session = model.session(n_ctx=len(ids))
    one, kept = model.trace(ids, "blk.*.resid_post"), model.trace(ids, ["blk.*.resid_post", "blk.*.attn_pattern"])
    every = model.trace(ids, ["blk.*"])

    def prefill():
        session.reset()
        session.forward(ids)

    def all_logits():
        session.reset()
        session.forward(ids, every=True)

    def traced(trace, logits=False):
        trace.restart()
        trace.complete()
        return trace.logits if logits else None

    return {
        "prompt, logits of the last token": prefill,
        "all residuals kept": lambda: traced(one),
        "residuals and attention patterns kept": lambda: traced(kept),
        "every value kept": lambda: traced(every),
        "prompt, logits of every token": all_logits,
        "all residuals kept, logits of every token": lambda: traced(one, logits=True),
    }


def decodes(model, n):
    """{what: function} that each decode n tokens."""
    vector = lens.SteeringVector({i: np.zeros(model.h.width, np.float32) + 1e-3 for i in range(model.h.layers)})
    plain = model.session(n_ctx=n + 16)
    with model.steer(vector):
        steered = model.session(n_ctx=n + 16)

    def decode(session):
        session.reset()
        for token in range(100, 100 + n):
            session.forward([token])

    def beside():
        """A trace stands open, one of its values has been looked at."""
        with model.trace([5, 6, 7]) as trace:
            assert trace["blk.0.resid_post"].size
            return seconds(lambda: decode(plain))

    return {
        "decoding": lambda: seconds(lambda: decode(plain)),
        "decoding, a trace open": beside,
        "decoding, every layer steered": lambda: seconds(lambda: decode(steered)),
    }


def measure(model, n_prompt, n_decode, rounds):
    """{what: [seconds of each round]}, after one round that does not count."""
    ids = random_ids(n_prompt, model.n_vocab)
    works = {name: lambda work=work: seconds(work) for name, work in prompts(model, ids).items()}
    works |= decodes(model, n_decode)
    found = {name: [] for name in works}
    for i in range(rounds + 1):
        for name, work in works.items():
            took = work()
            if i:
                found[name].append(took)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-p", type=int, default=256, help="tokens of a prompt")
    parser.add_argument("-n", type=int, default=64, help="tokens to decode")
    parser.add_argument("-r", type=int, default=7, help="rounds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("-t", type=int, help="threads")
    parser.add_argument("--cpu", action="store_true", help="time of the processor")
    args = parser.parse_args()
    global clock
    clock = time.process_time if args.cpu else clock
    with Model(resolve(args.model), n_threads=args.t) as model:
        found = measure(model, args.p, args.n, args.r)
        planning = [seconds(lambda: model.trace([5] * args.p, "blk.*.resid_post")) for _ in range(args.r)]
    found["planning a trace"] = planning
    publish({name: spread(took) for name, took in found.items()}, markdown(["", "ms", "speed"], rows(found)), args.json)


def rows(found):
    """Of each kind its time, and its speed where that of the plain kind before it is 1."""
    plain = []
    for name, took in found.items():
        plain = took if name in PLAIN else plain
        yield [name, spread_text(spread([1000 * t for t in took])), figure(ratio(plain, took)["median"])]



if __name__ == "__main__":
    main()
