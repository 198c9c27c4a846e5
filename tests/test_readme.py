"""The README's Python examples run as they stand."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_python_examples_run(smollm2, capsys):
    names = {}
    for code in re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(code.replace('"smollm2"', repr(str(smollm2))), str(README), "exec"), names)
    assert "Paris" in capsys.readouterr().out
    assert names["ids"] == names["m"].tokenize("The capital of France is")


def test_there_are_two_commands_for_a_fresh_machine():
    commands = re.findall(r"^python3 -m venv .*$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert [c.rsplit("/", 1)[-1].split()[0] for c in commands] == ["llama-gguf", "pytest"]
