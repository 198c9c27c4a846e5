"""docs/lens.md: its examples run, and its table has every alias."""

import re
from pathlib import Path

from llama_gguf.trace.names import BLOCK, WHOLE

PAGE = (Path(__file__).parents[2] / "docs" / "lens.md").read_text(encoding="utf-8")


def test_the_examples_run_one_after_the_other(smollm2, capsys):
    names = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        code = code.replace('"smollm2"', f"{str(smollm2)!r}, n_threads=1")
        exec(compile(code, "docs/lens.md", "exec"), names)
    names["m"].close()
    assert " Paris" in capsys.readouterr().out
    assert names["swept"].restored[-1, -1] > 0.9 > 0.1 > names["swept"].restored[0, 0]


def test_every_alias_is_in_the_table():
    for hook, values in BLOCK.items():
        (row,) = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{hook}`" in line]
        assert any(value in row for value in values)
    assert all(f"`{hook}`" in PAGE for hook in WHOLE)
