"""docs/converting.md: its example runs, its table of families is that of the code."""

import re
from pathlib import Path

from llama_gguf.convert import export
from llama_gguf.convert._page import table

from .folders import golden

PAGE = (Path(__file__).parents[2] / "docs/converting.md").read_text("utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    export(golden("llama"), tmp_path / "SmolLM2-135M-Instruct")  # a model of the same family
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/converting.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("llama F16") and lines[-1] == "[]"


def test_the_table_of_families_is_the_code():
    assert table() in PAGE
