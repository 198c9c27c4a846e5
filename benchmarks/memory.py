"""What sizing says a model takes, beside what a fresh process is found to take: the table of docs/planning.md.

    python -m benchmarks.memory smollm2:2048 gemma3-270m:8192:Q8_0 model.gguf:4096:F16:mapped --text prose.txt

Each MODEL:CONTEXT[:KV[:mapped]] runs alone: the model is opened, its vocabulary used, its context filled with the text.
"""

import argparse
import json
import subprocess
import sys

FILL = """
import json, sys
import llama_gguf.model, llama_gguf.session, llama_gguf.sizing
from llama_gguf import GGUFFile, Model

def resident():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))

path, text, options, last = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), 8
with GGUFFile(path) as file:
    told = llama_gguf.sizing.estimate(file, **options).as_dict()
before = resident()
with Model(path, **options) as m:
    ids = m.tokenize(open(text, encoding="utf-8").read())
    if (spread := m.n_vocab / 49152) > 1 and len(set(ids)) < 300:  # a random model's vocabulary has no words
        with Model.from_pretrained("smollm2", vocab_only=True) as words:
            ids = [int(i * spread) for i in words.tokenize(open(text, encoding="utf-8").read())]
    ids = (ids * (m.n_ctx // len(ids) + 1))[: m.n_ctx]
    session = m.session()
    session.forward(ids[:-last])
    for token in ids[-last:]:
        session.forward([token])
    print(json.dumps(told | {"measured": resident() - before}))
"""
TITLES = ("model", "context", "weights", "cache", "activations", "vocabulary", "mapped", "total", "measured", "differs")


def measure(line, text):
    """A row of figures for MODEL:CONTEXT[:KV[:mapped]]."""
    from llama_gguf.hub import resolve

    parts = line.split(":")
    name, n_ctx, kv_type, mapped = parts + ["F16", ""][len(parts) - 2 :]
    options = {"n_ctx": int(n_ctx), "kv_type": kv_type, "repack": mapped != "mapped", "n_threads": 2}
    command = [sys.executable, "-c", FILL, str(resolve(name)), text, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return name, options, json.loads(done.stdout)


def row(name, options, found):
    """Cells in MB."""
    sizes = [found[title] / 1e6 for title in TITLES[2:-1]]
    context = f"{options['n_ctx']:,} {options['kv_type']}{'' if options['repack'] else ', mapped'}"
    short = name.rpartition("/")[2].removesuffix(".gguf")
    return [short, context, *(f"{mb:.1f}" for mb in sizes), f"{found['total'] / found['measured'] - 1:+.1%}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", nargs="+", metavar="MODEL:CONTEXT[:KV[:mapped]]")
    parser.add_argument("--text", required=True)
    args = parser.parse_args()
    print("| " + " | ".join(TITLES) + " |")
    print("|---|---|" + "---:|" * (len(TITLES) - 2))
    for line in args.lines:
        print("| " + " | ".join(row(*measure(line, args.text))) + " |", flush=True)


if __name__ == "__main__":
    main()
