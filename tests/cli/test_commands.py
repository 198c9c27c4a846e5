"""The other commands on small real files, and the manners that all commands share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from llama_gguf.cli import COMMANDS, HIDDEN, _docs

LISTS = (["types"], ["models", "list"])


@pytest.fixture
def gguf(tmp_path):
    """A GGUF file of two tensors, with an array, a control character and an odd float."""
    pytest.importorskip("numpy")
    import numpy as np

    from llama_gguf.gguf import GGUFWriter
    from llama_gguf.gguf.values import Typed

    path = tmp_path / "small.gguf"
    metadata = {
        "general.architecture": "llama",
        "general.name": "evil \x1b[31m",
        "llama.block_count": Typed(2, "u32"),
        "llama.rope.freq_base": float("inf"),
        "tokenizer.ggml.tokens": [f"t{i}" for i in range(100)],
    }
    tensors = [
        ("token_embd.weight", "F32", (4, 32), np.zeros((4, 32), np.float32)),
        ("output_norm.weight", "F16", (32,), np.zeros(32, np.float16)),
    ]
    GGUFWriter(path, metadata, tensors).write()
    return path


def test_info_tells_sizes_types_and_hyperparameters(invoke, gguf):
    told = json.loads(invoke("info", str(gguf), "--json").stdout)
    assert told["hyperparameters"] == {"block_count": 2, "rope.freq_base": "inf"}
    assert told["n_parameters"] == 4 * 32 + 32
    assert told["bits_per_weight"] == pytest.approx(8 * (512 + 64) / 160)
    assert told["metadata"]["tokenizer.ggml.tokens"]["length"] == 100
    assert told["tensors"][0] == {
        "name": "token_embd.weight",
        "type": "F32",
        "shape": [4, 32],
        "size_bytes": 512,
    }
    full = json.loads(invoke("info", str(gguf), "--json", "--full").stdout)
    assert full["metadata"]["tokenizer.ggml.tokens"][99] == "t99"


def test_info_for_people_shows_no_control_characters(invoke, gguf):
    done = invoke("info", str(gguf))
    assert "block_count = 2" in done.stdout
    assert "4x32" in done.stdout
    assert "28.80 bits per weight" in done.stdout
    assert "evil ␛[31m" in done.stdout


def test_info_of_what_is_no_gguf_is_one_line(program, tmp_path):
    (tmp_path / "page.gguf").write_bytes(b"<!DOCTYPE html><html>")
    done = program("info", str(tmp_path / "page.gguf"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_tokenize_shows_ids_and_pieces(invoke, model_file):
    told = json.loads(invoke("tokenize", model_file, "aé", "--json", "--no-bos").stdout)
    assert [t["id"] for t in told] == [0x61, 0xC3, 0xA9]
    assert told[0] == {"id": 0x61, "text": "a", "bytes": "61"}
    text = invoke("tokenize", model_file, "aé", "--no-bos").stdout
    assert text.splitlines()[1:] == [" 97  'a'", "195  b'\\xc3'", "169  b'\\xa9'"]


def test_tokenize_shows_how_words_are_made(tmp_path):
    from llama_gguf.cli import cli
    from llama_gguf.testing import tiny

    path = str(tiny(tmp_path / "tiny.gguf"))
    done = CliRunner().invoke(cli, ["tokenize", path, "the\x1b", "--show"])
    assert "  [the]   merge 2" in done.stdout.splitlines() and "\x1b" not in done.stdout
    told = json.loads(CliRunner().invoke(cli, ["tokenize", path, "in", "--show", "--json"]).stdout)
    assert told["tokens"][0]["kind"] == "control" and told["tokens"][1]["text"] == "in"
    assert [s["why"] for s in told["words"][1]["steps"]] == ["single symbols", "merge 3"]


def test_embed_shows_a_vector_a_line(invoke, fake, model_file):
    pytest.importorskip("numpy")
    assert invoke("embed", model_file, "-p", "a cat", "-p", "dog").stdout == "5 2\n3 1\n"
    assert fake.opened[-1].calls == [(["a cat", "dog"], {"pooling": None, "normalize": True})]
    told = json.loads(invoke("embed", model_file, "-p", "a cat", "--json", "--no-normalize").stdout)
    assert told == [{"text": "a cat", "embedding": [5.0, 2.0]}]
    assert invoke("embed", model_file, "--pooling", "none", input="one two\n").stdout == "7 2\n7 2\n"
    assert invoke("embed", model_file, "-p", "x", "--pooling", "middle").exit_code == 2


def test_types_cover_the_format(invoke):
    rows = {r["name"]: r for r in json.loads(invoke("types", "--json").stdout)}
    assert rows["Q4_K"]["bits_per_weight"] == 4.5
    assert "Q4_K" in invoke("types").stdout


def test_bench_tells_medians_and_spread(invoke, model_file):
    told = json.loads(invoke("bench", model_file, "-p", "8", "-n", "4", "-r", "2", "--json").stdout)
    for key in ("prompt_tokens_per_second", "decode_tokens_per_second"):
        assert told[key]["lowest"] <= told[key]["median"] <= told[key]["highest"]
    shown = invoke("bench", model_file, "-p", "8", "-n", "4", "--ops").stdout
    assert "prompt of 8 tokens" in shown
    assert "matmul" in shown
    assert "75.0%" in shown


def test_models_list_is_empty_json_without_models(invoke):
    assert json.loads(invoke("models", "list", "--json").stdout) == []
    assert invoke("models", "list").stdout == ""


def test_hidden_names_work_and_stay_hidden(invoke):
    help_text = invoke("--help").stdout
    for name in HIDDEN:
        assert invoke(name, "--help").exit_code == 0
        assert f"  {name} " not in help_text


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["models", "search"]])
def test_help_is_there_by_both_names(invoke, command):
    long, short = invoke(*command, "--help"), invoke(*command, "-h")
    assert long.exit_code == 0
    assert long.stdout == short.stdout
    assert "..." not in long.stdout.partition("Commands:")[2]


def test_version_names_what_a_bug_report_needs(program):
    done = program("--version")
    assert done.returncode == 0
    for word in ("llama-gguf 0.", "Python 3.", "NumPy ", "instruction set ", "OpenMP ", "thread"):
        assert word in done.stdout


@pytest.mark.parametrize("color", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"TERM": "xterm"}])
@pytest.mark.parametrize("command", [["--help"], *LISTS])
def test_pipes_see_no_escape_codes(program, command, color):
    done = program(*command, env=os.environ | color)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr


def test_terminal_gets_bold_headings_unless_no_color():
    pty = pytest.importorskip("pty")
    for extra, bold in (({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)):
        ours, theirs = pty.openpty()
        environment = os.environ | {"TERM": "xterm"} | extra
        command = [sys.executable, "-m", "llama_gguf", "types"]
        with subprocess.Popen(command, stdout=theirs, env=environment):
            text = os.read(ours, 100)
        os.close(ours), os.close(theirs)
        assert (b"\x1b[1m" in text) is bold


def test_help_is_quick_and_light():
    code = (
        "import sys; from llama_gguf.cli import cli; cli(['--help'], standalone_mode=False);"
        "print({'numpy', 'huggingface_hub', 'tqdm'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "set()\n"


def test_documentation_is_what_help_says():
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    assert page.read_text().split() == _docs.page().split(), "run python -m llama_gguf.cli._docs"


def test_set_names_arrays_as_such(invoke, gguf):
    assert "(u16[])" in invoke("set", str(gguf), "my.n", "[1, 2]", "--type", "u16[]", "--allow-broken").stderr
