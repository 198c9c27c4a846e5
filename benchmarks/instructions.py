"""Speed without a clock: the instructions of a 64-token prompt and of one decoded token, counted by callgrind.

    python benchmarks/instructions.py              prints them as JSON
    python benchmarks/instructions.py --renew      writes them to tests/data/instructions.json, too

Tiny fixed models, one thread, each instruction set that valgrind knows. Only what runs inside Plan.run is counted:
neither Python's start nor loading. Compilers differ, so the file has a part for each; --renew replaces the part of the
compiler that built the engine at hand. tests/benchmarks/test_instruction_counts.py compares.
"""

import os
import sys

if __name__ == "__main__":  # this folder's types.py must not stand before Python's own
    sys.path.append(os.path.dirname(sys.path.pop(0)))

import argparse
import json
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

BASELINE = Path(__file__).parents[1] / "tests/data/instructions.json"
TYPES = {  # counted with each instruction set that valgrind knows; it has no AVX-512
    "avx2": ["F16", "Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "IQ2_XS"],
    "generic": ["F16", "Q8_0", "Q4_K"],
}
PROMPT = 64
STEPS = {"prompt": list(range(PROMPT)), "decode": [5]}


def missing():
    """Why nothing can be counted here, or None."""
    if not shutil.which("valgrind"):
        return "valgrind is not installed (apt-get install valgrind)"
    if not run_symbol():
        return "the engine is stripped: callgrind would not find Plan.run"


def count(isa):
    """{type: {"prompt": instructions, "decode": instructions}} with an instruction set."""
    from llama_gguf.testing import tiny

    types = TYPES[isa]
    with tempfile.TemporaryDirectory() as folder:
        paths = [tiny(f"{folder}/{type}.gguf", type=type, layers=1, width=256, ff=512) for type in types]
        callgrind(isa, f"{folder}/counts", paths)
        numbers = [collected(f"{folder}/counts.{i + 1}") for i in range(len(STEPS) * len(types))]
    rows = zip(*[iter(numbers)] * len(STEPS), strict=True)
    return {type: dict(zip(STEPS, row, strict=True)) for type, row in zip(types, rows, strict=True)}


def callgrind(isa, out, paths):
    """Run this file's steps on models; each run of a plan leaves a file of its own, `out`.1 and so on."""
    symbol = run_symbol()
    tool = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
    tool += ["--collect-atstart=no", f"--toggle-collect={symbol}", f"--dump-after={symbol}"]
    command = [*tool, sys.executable, __file__, "--steps", *paths]
    done = subprocess.run(command, env=os.environ | {"LLAMA_GGUF_ISA": isa}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"valgrind ended with code {done.returncode}: {done.stderr[-2000:]}")


def collected(path):
    found = int(re.search(r"^totals: (\d+)", Path(path).read_text(), re.M)[1])
    if not found:
        raise RuntimeError(f"{path} holds no instructions")
    return found


def steps(paths):
    """What is counted: a prompt and a token on each model."""
    from llama_gguf import Model

    for path in paths:
        with Model(path, n_ctx=2 * PROMPT, n_threads=1, repack=True) as model:
            session = model.session()
            for ids in STEPS.values():
                session.forward(ids)


def run_symbol():
    """The compiled name of Plan.run; None in a stripped module."""
    from llama_gguf.engine import plan

    found = re.search(rb"\0(__pyx_pw_\w+4Plan_\d+run)\0", Path(plan.__file__).read_bytes())
    return found and found[1].decode()


def compiler():
    """What built the engine, such as "gcc 12 x86_64"."""
    from llama_gguf.engine import plan

    code = Path(plan.__file__).read_bytes()
    for name, mark in (("clang", rb"clang version (\d+)"), ("gcc", rb"GCC: \([^)]*\) (\d+)")):
        if found := re.search(mark, code):
            return f"{name} {found[1].decode()} {platform.machine()}"
    return f"unknown 0 {platform.machine()}"


def renew(found):
    """Replace this compiler's part of the baseline."""
    known = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    BASELINE.write_text(json.dumps(known | found, indent=1, sort_keys=True) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renew", action="store_true", help="write the baseline")
    parser.add_argument("--steps", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.steps:
        return steps(args.steps)
    from llama_gguf.engine import cpu

    if why := missing():
        raise SystemExit(f"Error: {why}")
    found = {compiler(): {isa: count(isa) for isa in TYPES if not cpu.missing(isa)}}
    print(json.dumps(found, indent=1))
    if args.renew:
        renew(found)


if __name__ == "__main__":
    main()
