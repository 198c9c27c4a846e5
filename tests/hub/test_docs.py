"""Every command and every piece of Python on the pages about models and files runs as it stands."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from llama_gguf.cli import cli
from llama_gguf.make import TEXT
from llama_gguf.testing import tiny

from .test_make import folder_of

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def place(server, tmp_path, monkeypatch):
    """A folder with the files that the pages speak of, and a Hub with user/repo."""
    path = tiny(tmp_path / "model.gguf", type="Q8_0", width=64, ff=128)
    server.repos["user/repo"] = {f"model-{quant}.gguf": path.read_bytes() for quant in ("Q4_K_M", "Q8_0")}
    folder_of(tmp_path / "Small-Llama")
    tiny(tmp_path / "model-f16.gguf", type="F16")
    (tmp_path / "text.txt").write_text(TEXT * 2)
    (tmp_path / "chatml.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    (tmp_path / "tools.jinja").write_text("{{ tools }}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", ["hub.md", "files.md", "planning.md", "making.md"])
def test_the_examples_run(place, page, capsys):
    blocks = re.findall(r"```(sh|python)\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    for kind, code in blocks:
        if kind == "python":
            exec(compile(code, page, "exec"), {})
        for line in code.splitlines() if kind == "sh" else ():
            program, *words = shlex.split(line)
            done = CliRunner().invoke(cli, words)
            assert (program, done.exit_code) == ("llama-gguf", 0), f"{line}: {done.output}"
