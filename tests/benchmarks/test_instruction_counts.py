"""A guard of speed that no busy machine disturbs: callgrind's counts beside those that the repository keeps.

A count above the baseline is a regression to explain or to mend; one below is a gain to keep:
`python benchmarks/instructions.py --renew`.
"""

import functools
import json

import pytest

from benchmarks import instructions

TOLERANCE = 0.05  # of the compiler that made the baseline: between two runs counts differ by 0.001
FOREIGN = {"avx2": 0.1, "generic": 0.5}  # of another version of it, upwards only: gcc 11 gives 1.4% and 36%
CASES = [(isa, type) for isa, types in instructions.TYPES.items() for type in types]
count = functools.cache(instructions.count)


def baseline():
    """(counts, do they come from the compiler that built this engine?)"""
    known = json.loads(instructions.BASELINE.read_text())
    mine = instructions.compiler()
    name, _, machine = mine.split()
    alike = [other for other in known if other.startswith(f"{name} ") and other.endswith(f" {machine}")]
    if not alike:
        pytest.skip(f"no counts are kept for {mine}; python benchmarks/instructions.py --renew adds them")
    return known.get(mine) or known[alike[0]], mine in known


@pytest.mark.parametrize("isa, type", CASES)
def test_instruction_counts(isa, type):
    from llama_gguf.engine import cpu

    if lacks := cpu.missing(isa):
        pytest.skip(f"this machine lacks {', '.join(lacks)}")
    if why := instructions.missing():
        pytest.skip(why)
    kept, mine = baseline()
    for step, before in kept[isa][type].items():
        ratio = count(isa)[type][step] / before
        assert ratio < 1 + (TOLERANCE if mine else FOREIGN[isa]), f"{step}: {ratio:.3f} times the instructions"
        assert not mine or ratio > 1 - TOLERANCE, f"{step}: only {ratio:.3f} of the instructions; renew the baseline"
