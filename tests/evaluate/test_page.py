"""The examples of docs/inspecting.md run as they stand, one after the other."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "inspecting.md"


def test_the_examples_run(smollm2, capsys):
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    for code in examples:
        exec(compile(code.replace('"smollm2"', repr(str(smollm2))), str(PAGE), "exec"), names)
    assert len(examples) > 5 and names["d"].kl > 0 and names["damage"].flipped is not None
    assert len(names["s"].values) == 10 and "blk.2" in capsys.readouterr().out
    names["m"].close()
