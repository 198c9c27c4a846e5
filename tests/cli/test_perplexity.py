"""llama-gguf perplexity on tiny models: numbers, JSON, base files, and wrong usage."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from llama_gguf import Model
from llama_gguf.cli import cli
from llama_gguf.testing import tiny

TEXT = "the cat sat on the mat and looked at the moon over the old town, " * 4


@pytest.fixture
def files(tmp_path):
    """Paths of a model, of a second one of fewer bits, and of a text."""
    (tmp_path / "text.txt").write_text(TEXT)
    return [str(tiny(tmp_path / f"{kind}.gguf", type=kind, ff=128)) for kind in ("F32", "Q4_0")] + [
        str(tmp_path / "text.txt")
    ]


def run(*args, **how):
    return CliRunner().invoke(cli, ["perplexity", *args], **how)


def test_perplexity_is_that_of_the_library(files):
    model, _, text = files
    told = json.loads(run(model, "-f", text, "-c", "32", "--json").stdout)
    with Model(model) as m:
        wanted = m.perplexity(TEXT, n_ctx=32)
    assert told["perplexity"] == pytest.approx(float(wanted), rel=1e-6) and told["chunks"] == wanted.chunks
    done = run(model, "-f", "-", "-c", "32", input=TEXT)
    assert done.stdout.strip() == str(wanted) and done.exit_code == 0


def test_divergence_from_a_model_and_from_its_file(files, tmp_path):
    base, model, text = files
    saved = str(tmp_path / "base.bin")
    done = run(base, "-f", text, "-c", "32", "--save-base", saved)
    assert done.exit_code == 0 and done.stdout == "" and "wrote" in done.stderr
    again = run(base, "-f", text, "-c", "32", "--save-base", saved)
    assert again.exit_code == 1 and "base.bin" in again.stderr and "force=" not in again.stderr
    assert run(base, "-f", text, "-c", "32", "--save-base", saved, "--force").exit_code == 0
    over = run(base, "-f", text, "-c", "32", "--save-base", text, "--force")
    assert over.exit_code == 1 and "also an input" in over.stderr and Path(text).read_text() == TEXT
    live = json.loads(run(model, "-f", text, "-c", "32", "--kl", base, "--json").stdout)
    filed = json.loads(run(model, "--kl", saved, "--json").stdout)
    assert live["kl"][0] == pytest.approx(filed["kl"][0], abs=1e-4) and live["base"] == base and filed["base"] == saved
    assert np.isfinite(live["ratio"]).all() and "mean KL" in run(model, "--kl", saved).stdout


def test_wrong_usage_says_so(files):
    model, _, text = files
    assert run(model).exit_code == 2
    assert run(model, "-f", text, "-c", "2").exit_code == 2
    assert run(model, "-f", text, "--kl", text).exit_code == 1
    saved = str(Path(text).with_name("base.bin"))
    assert run(model, "-f", text, "-c", "32", "--save-base", saved, "--kl", model).exit_code == 2
    assert run(model, "-f", text, "-c", "32", "--save-base", saved).exit_code == 0
    for more in (["-f", text], ["-c", "32"]):
        done = run(model, "--kl", saved, *more)
        assert done.exit_code == 2 and "itself" in done.stderr
    bad = Path(text).with_name("latin.txt")
    bad.write_bytes("Größe".encode("latin-1"))
    done = run(model, "-f", str(bad))
    assert done.exit_code == 1 and "not UTF-8" in done.stderr
    bad.write_text("the cat")
    done = run(model, "-f", str(bad), "--save-base", saved, "--force")
    assert done.exit_code == 0 and "wrote" in done.stderr
    bad.write_text("a")
    done = run(model, "-f", str(bad), "--save-base", saved, "--force")
    assert done.exit_code == 1 and "too short" in done.stderr
    bad.write_bytes(b"")
    done = run(model, "-f", str(bad))
    assert done.exit_code == 1 and "too short" in done.stderr


def test_json_holds_null_where_there_is_no_number(files):
    line = (files[0], "-f", "-", "-c", "3", "--chunks", "1")
    assert "1 token scored in 1 window of 3" in run(*line, input=TEXT).stderr
    told = json.loads(run(*line, "--json", input=TEXT).stdout)
    assert told["tokens"] == 1 and told["error"] is None
