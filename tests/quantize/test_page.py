"""The examples of docs/quantizing.md run as they stand, one after the other."""

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from llama_gguf.cli import cli
from llama_gguf.gguf import GGUFFile
from llama_gguf.testing import tiny

PAGE = (Path(__file__).parents[2] / "docs" / "quantizing.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny("model.gguf", layers=1, width=256, ff=256, tied=True)
    Path("text.txt").write_text("The cat sat on the mat, and a dog saw the cat. " * 30)
    for line in "".join(blocks("sh")).splitlines():
        done = CliRunner().invoke(cli, shlex.split(line)[1:])
        assert done.exit_code == ("--for" in line), done.output  # the check finds that importance is missing
    names = {}
    for code in blocks("python"):
        exec(compile(code, "docs/quantizing.md", "exec"), names)
    assert "missing-imatrix" in capsys.readouterr().out
    with GGUFFile("small.gguf") as small, GGUFFile("model-5bpw.gguf") as sized:
        assert small.tensors["blk.0.attn_k.weight"].type.name == "IQ2_XS"
        bits = 8 * sum(t.n_bytes for t in sized.tensors.values()) / sum(t.n_elements for t in sized.tensors.values())
    assert 4.5 < bits <= 5 and Path("types.txt").read_text().count("\n") == 8
