"""Who holds the memory: what is resident after each step from Python's start to a prompt, and the peak until then.

    python benchmarks/memory.py MODEL [-p 256] [-c 2048] [--no-repack]

Private memory is what this process alone has: Python, panels, cache, buffers. Pages of the file are the system's cache,
which is resident as long as it is mapped and which the system takes back when memory is short. Linux only.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse

from benchmarks.measure import markdown, random_ids

FIELDS = {"RssAnon": "private", "RssFile": "of files", "VmRSS": "both", "VmHWM": "peak until then"}


def resident():
    """Bytes of each of FIELDS."""
    with open("/proc/self/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    return [int(lines[field].split()[0]) * 1024 for field in FIELDS]


def stages(args):
    """(what was done, resident bytes after it)"""
    yield "Python", resident()
    import llama_gguf.model  # noqa: F401  what Model imports when it is asked for
    from llama_gguf import Model
    from llama_gguf.hub import resolve

    yield "NumPy and llama-gguf imported", resident()
    model = Model(resolve(args.model), n_ctx=args.ctx, n_threads=args.threads, repack=args.repack)
    yield f"weights loaded, file of {model.file.size / 1e6:.0f} MB", resident()
    session = model.session()
    yield f"session of {args.ctx} positions", resident()
    session.forward([1])
    yield "one token", resident()
    model.tokenize("The capital of France is")
    yield "vocabulary read", resident()
    session.forward(random_ids(args.prompt, model.n_vocab))
    yield f"prompt of {args.prompt} random tokens", resident()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a path, or any name that `llama-gguf run` takes")
    parser.add_argument("-p", "--prompt", type=int, default=256, metavar="TOKENS")
    parser.add_argument("-c", "--ctx", type=int, default=2048)
    parser.add_argument("-t", "--threads", type=int)
    parser.add_argument("--no-repack", dest="repack", action="store_false")
    rows = [(what, *(f"{n / 1e6:.0f}" for n in found)) for what, found in stages(parser.parse_args())]
    print(markdown(("MB resident after", *FIELDS.values()), rows))


if __name__ == "__main__":
    main()
