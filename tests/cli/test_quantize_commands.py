"""quantize and imatrix: what they print, refuse and leave behind."""

import json
import os

import pytest
from click.testing import CliRunner

from llama_gguf.cli import cli
from llama_gguf.gguf import GGUFFile
from llama_gguf.quantize import FILE_TYPES, Imatrix
from llama_gguf.testing import tiny

TEXT = "The cat sat on the mat, and a dog saw the cat. " * 40


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny(tmp_path_factory.mktemp("cli") / "tiny.gguf", width=256, ff=256, tied=True))


@pytest.fixture
def program():
    """Run a command line in this process, with real models."""
    return lambda *args: CliRunner().invoke(cli, args)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def test_from_text_to_a_model_of_two_bits(program, model, here):
    made = program("imatrix", model, "-f", "text.txt", "-o", "i.gguf", "--chunk-size", "64")
    assert (made.exit_code, made.stdout) == (0, "i.gguf\n")
    assert "token_embd.weight" in Imatrix.load("i.gguf")
    done = program("quantize", model, "q.gguf", "IQ2_XS", "--pure", "--imatrix", "i.gguf")
    assert (done.exit_code, done.stdout) == (0, "q.gguf\n") and "bits per weight" in done.stderr
    with GGUFFile("q.gguf") as file:
        assert {t.type.name for t in file.tensors.values()} == {"F32", "IQ2_XS"}
        assert file.metadata["quantize.imatrix.dataset"] == "text.txt"


def test_a_dry_run_shows_types_sizes_and_errors_and_writes_nothing(program, model, here):
    shown = program("quantize", model, "Q4_K_M", "--dry-run", "--tensor-type", "attn_v=q8_0")
    assert shown.exit_code == 0 and os.listdir() == ["text.txt"]
    line = next(x for x in shown.stdout.splitlines() if x.startswith("blk.0.attn_v.weight"))
    assert line.split()[1:3] == ["F32", "Q8_0"] and "asked for by attn_v" in line
    told = json.loads(program("quantize", model, "out.gguf", "IQ2_XS", "--dry-run", "--json").stdout)
    assert "useless without importance" in told["problems"][0] and told["bits_per_weight"] < 5
    assert "and a header of" in shown.stderr
    refused = program("quantize", model, "IQ2_XS", "--dry-run")
    assert refused.exit_code == 1 and refused.stderr.count("problem: ") == 4
    assert f"and {len(told['problems']) - 4} more like this" in refused.stderr


def test_the_help_names_all_file_types(program):
    words = program("quantize", "--help").stdout.replace(",", " ").replace(";", " ").replace(".", " ").split()
    assert set(FILE_TYPES) <= set(words)


def test_options_reach_the_file(program, model, here):
    (here / "types.txt").write_text("attn_q=Q8_0 ffn_down=Q5_1\n")
    done = program("quantize", model, "q.gguf", "Q4_0", "--tensor-type-file", "types.txt", "--override-kv",
                   "general.name=str:other", "--override-kv", "llama.context_length=int:99", "--json")
    assert json.loads(done.stdout)["type"] == "Q4_0"
    with GGUFFile("q.gguf") as file:
        assert file.tensors["blk.1.attn_q.weight"].type.name == "Q8_0"
        assert file.tensors["blk.1.ffn_down.weight"].type.name == "Q5_1"
        assert (file.metadata["general.name"], file.metadata["llama.context_length"]) == ("other", 99)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [("Q4_0 --tensor-type (=Q8_0", 2, "regular expression"),
     ("Q4_K_X", 2, "no file type 'Q4_K_X'"), ("Q4_0 --tensor-type attn_v", 2, "REGEX=TYPE"),
     ("", 2, "IN, OUT and TYPE"), ("IQ1_S", 1, "useless without importance"),
     ("Q4_0 --override-kv a=b", 2, "KEY=TYPE:VALUE"), ("Q4_0 --output-type I8", 2, "no matrix can be of type 'I8'")],
)
def test_what_is_wrong_is_said_before_anything_is_written(program, model, here, words, code, says):
    refused = program("quantize", model, "q.gguf", *words.split())
    assert refused.exit_code == code and says in refused.stderr and not os.path.exists("q.gguf")


def test_what_would_be_no_model_is_refused(program, model, here):
    Imatrix.of({"blk.0.attn_q.weight": ([1.0] * 256, 1)}).save("i.gguf")
    refused = program("quantize", "i.gguf", "q.gguf", "Q4_0")
    assert refused.exit_code == 1 and "no key general.architecture" in refused.stderr
    refused = program("quantize", model, "q.gguf", "Q4_0", "--override-kv", "llama.block_count=int:3")
    assert refused.exit_code == 1 and "with --override-kv: " in refused.stderr and not os.path.exists("q.gguf")


def test_a_pattern_that_fits_nothing_is_told(program, model, here):
    types = ("--tensor-type", "attn_x=Q8_0", "--tensor-type", "attn_v=Q8_0")
    done = program("quantize", model, "Q4_0", "--dry-run", *types)
    assert done.exit_code == 0 and done.stderr.count("Warning") == 1 and "attn_x fits" in done.stderr


def test_an_existing_file_needs_force(program, model, here):
    (here / "q.gguf").write_text("old")
    assert "--force" in program("quantize", model, "q.gguf", "Q8_0").stderr
    assert (here / "q.gguf").read_text() == "old"
    assert program("quantize", model, "q.gguf", "Q8_0", "--force").exit_code == 0


def test_what_is_read_is_not_written_over(program, here):
    tiny("m.gguf")
    collect = ("imatrix", "m.gguf", "-f", "text.txt", "--chunk-size", "64", "--force", "-o")
    assert program(*collect, "i.gguf").exit_code == 0
    lines = [(*collect, "m.gguf"), (*collect, "text.txt"), (*collect, "new.gguf", "--picture", "m.gguf")]
    lines += [("quantize", "m.gguf", "i.gguf", "Q8_0", "--imatrix", "i.gguf", "--force")]
    before = {name: (here / name).read_bytes() for name in os.listdir()}
    for line in lines:
        refused = program(*line)
        assert refused.exit_code == 1 and "the output is also an input" in refused.stderr
    assert before == {name: (here / name).read_bytes() for name in os.listdir()}
    assert program("imatrix", "--in-file", "i.gguf", "-o", "i.gguf", "--force").exit_code == 0


def test_matrices_are_added_up_shown_and_gone_on_with(program, model, here):
    collect = ("imatrix", model, "-f", "text.txt", "--chunk-size", "32", "-o")
    assert program(*collect, "all.gguf").exit_code == 0
    assert program(*collect, "part.gguf", "--chunks", "2").exit_code == 0
    assert "--resume goes on" in program(*collect, "part.gguf").stderr
    assert "going on after 2 chunks" in program(*collect, "part.gguf", "--resume").stderr
    (here / "other.txt").write_text((here / "text.txt").read_text())
    other = ["other.txt" if word == "text.txt" else word for word in collect]
    assert "of text.txt, not of other.txt" in program(*other, "part.gguf", "--resume").stderr
    whole, part = Imatrix.load("all.gguf"), Imatrix.load("part.gguf")
    name = "blk.1.ffn_down.weight"
    assert part.n_chunks == whole.n_chunks > 2 and part[name].squares == pytest.approx(whole[name].squares, rel=1e-5)
    assert program("imatrix", "--in-file", "all.gguf", "--in-file", "part.gguf", "-o", "sum.dat").exit_code == 0
    assert Imatrix.load("sum.dat").n_chunks == 2 * whole.n_chunks
    shown = program("imatrix", "--in-file", "all.gguf", "--stats", "--picture", "i.html")
    assert shown.stdout.split()[:3] == ["TENSOR", "COLUMNS", "SUM"] and name in shown.stdout
    assert "<svg" in (here / "i.html").read_text()
    assert "--force" in program("imatrix", "--in-file", "all.gguf", "-o", "new.gguf", "--picture", "i.html").stderr
    assert program(*collect, "none/new.gguf").exit_code == 1 and not os.path.exists("new.gguf")
    told = json.loads(program("imatrix", "--in-file", "all.gguf", "--json").stdout)
    assert {r["tensor"] for r in told["tensors"]} == set(whole) and len(told["layers"]) == 2


def test_types_for_a_size_are_searched_for_last(program, model, here, monkeypatch):
    """What is there is refused before the search, which takes long."""
    monkeypatch.setattr("llama_gguf.quantize.targets.recipe_for_size", lambda *_, **__: pytest.fail("searched"))
    (here / "types.txt").write_text("old")
    for out, types in (("types.txt", "new.txt"), ("new.gguf", "types.txt")):
        refused = program("quantize", model, out, "--target-size", "1MB", "--export-types", types)
        assert refused.exit_code == 1 and "--force" in refused.stderr
    assert program("quantize", model, "new.gguf", "--target-size", "0MB").exit_code == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [("MODEL", "needs a text"), ("", "give a MODEL"), ("--in-file text.txt", "what to do with --in-file"),
     ("-f text.txt --in-file text.txt -o o", "need a MODEL")],
)
def test_half_a_wish_is_wrong_usage(program, here, words, says):
    refused = program("imatrix", *words.split())
    assert refused.exit_code == 2 and says in refused.stderr
