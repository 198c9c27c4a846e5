"""What Python costs per decoded token: a step of a session, and the loop of `generate`, beside the compiled plan alone.

python benchmarks/overhead.py MODEL [-n 200]
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import statistics
import time

from llama_gguf import Model
from llama_gguf.hub import resolve


class Watched:
    """A compiled plan that notes how long each run takes."""

    def __init__(self, plan):
        self.plan, self.lists, self.ran = plan, plan.lists, []

    def run(self, *args):
        begin = time.perf_counter()
        self.plan.run(*args)
        self.ran.append(time.perf_counter() - begin)


def outside(session, step, n):
    """Medians over n calls of `step`: seconds in the plan, and outside it."""
    watched = session.planned.plan = Watched(session.planned.plan)
    spent = []
    for _ in range(n):
        watched.ran.clear()
        begin = time.perf_counter()
        step()
        spent.append((sum(watched.ran), time.perf_counter() - begin - sum(watched.ran)))
    session.planned.plan = watched.plan
    return [statistics.median(column) for column in zip(*spent, strict=True)]


def measure(model, n):
    """For a step of a session, and for a token of a stream: (seconds in the plan, seconds outside)."""
    session = model.session(n_ctx=n + 64)
    session.forward(list(range(10, 26)))
    step = outside(session, lambda: session.forward([5]), n)
    stream = model.stream(list(range(10, 26)), max_tokens=n + 1)
    next(stream)
    return step, outside(model.main, lambda: next(stream, None), n)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-n", type=int, default=200)
    args = parser.parse_args()
    with Model(resolve(args.model)) as model:
        names = "step of a session", "token of a stream"
        for name, (inside, rest) in zip(names, measure(model, args.n), strict=True):
            share = 100 * rest / (inside + rest)
            print(f"{name}: {1e3 * inside:.3f} ms in the plan, {1e6 * rest:.0f} us outside ({share:.1f}%)")


if __name__ == "__main__":
    main()
