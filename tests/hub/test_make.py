"""A folder, or a file, becomes a set of quantized files with a card that tells how."""

import hashlib
import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from llama_gguf import GGUFFile, Model
from llama_gguf.cli import cli
from llama_gguf.errors import Cancelled, FormatError, ModelError, NameNotFound
from llama_gguf.make import TEXT, make
from llama_gguf.quantize.files import quantize_file
from llama_gguf.quantize.imatrix import Entry, Imatrix
from llama_gguf.testing import tiny

from .server import COMMIT

SIZES = dict(width=128, ff=256, layers=1, context=512)


@pytest.fixture(autouse=True)
def one_window(monkeypatch):
    monkeypatch.setattr("llama_gguf.make.WINDOWS", 1)


@pytest.fixture
def source(tmp_path):
    """A model in F16."""
    return tiny(tmp_path / "tiny-f16.gguf", type="F16", metadata={"general.name": "My model"}, **SIZES)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text(TEXT * 2)
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def folder_of(path):
    """A Llama for transformers, of bytes and one merge."""
    path.mkdir()
    letters = [*range(33, 127), *range(161, 173), *range(174, 256)]  # GPT-2's names of bytes
    names = {b: chr(b) for b in letters} | {b: chr(256 + i) for i, b in enumerate(sorted({*range(256)} - {*letters}))}
    vocab = {names[b]: b for b in range(256)} | {"he": 256, "<s>": 257, "</s>": 258}
    added = [{"id": i, "content": t, "special": True} for t, i in (("<s>", 257), ("</s>", 258))]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "vocab": vocab, "merges": ["h e"]}
    tokenizer = {"model": model, "pre_tokenizer": level, "added_tokens": added}
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 259,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "bos_token_id": 257, "eos_token_id": 258,
        "tie_word_embeddings": True, "torch_dtype": "float16",
    }
    for name, value in (("tokenizer.json", tokenizer), ("config.json", config)):
        (path / name).write_text(json.dumps(value))
    block = {"input_layernorm": (64,), "post_attention_layernorm": (64,), "self_attn.q_proj": (64, 64),
             "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64), "self_attn.o_proj": (64, 64),
             "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64), "mlp.down_proj": (64, 96)}
    shapes = {"model.embed_tokens.weight": (259, 64), "model.norm.weight": (64,)}
    shapes |= {f"model.layers.0.{name}.weight": shape for name, shape in block.items()}
    rng, at, header, data = np.random.default_rng(1), 0, {}, []
    for name, shape in shapes.items():
        values = (rng.standard_normal(shape) * 0.1 if len(shape) > 1 else np.ones(shape)).astype(np.float16).tobytes()
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at := at + len(values)]}
        data.append(values)
    raw = json.dumps(header).encode()
    (path / "model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw + b"".join(data))
    return path


def test_a_folder_becomes_files_with_a_card(tmp_path, text):
    folder = folder_of(tmp_path / "Small-Llama")
    card = make(folder, tmp_path / "out", ["Q8_0", "q4_0", "F16"], text=text, chunks=2)
    names = [f"Small-Llama-{kind}.gguf" for kind in ("Q8_0", "Q4_0", "F16")]
    assert sorted(os.listdir(tmp_path / "out")) == sorted(
        [*names, "Small-Llama-imatrix.gguf", "README.md", "card.json"]
    )
    assert card == json.loads((tmp_path / "out/card.json").read_text())
    page = (tmp_path / "out/README.md").read_text()
    for made, name in zip(card["files"], names, strict=True):
        path = tmp_path / "out" / name
        assert (made["file"], made["sha256"], made["size_bytes"]) == (name, sha256(path), path.stat().st_size)
        assert name in page and made["sha256"] in page
    sources = {f["file"]: f["sha256"] for f in card["source"]["files"]}
    assert sources.keys() == {"model.safetensors", "config.json", "tokenizer.json"}
    assert all(sha256(folder / name) == digest for name, digest in sources.items())
    assert card["importance"]["text"]["sha256"] == sha256(text)
    assert card["importance"]["chunks"] == Imatrix.load(tmp_path / "out/Small-Llama-imatrix.gguf").n_chunks == 2
    assert str(tmp_path) not in page + json.dumps(card)


def test_files_are_those_of_the_steps_by_hand(source, text, tmp_path):
    make(source, tmp_path / "out", ["Q4_0", "IQ4_NL"], text=text)
    matrix = Imatrix.load(tmp_path / "out/My-model-imatrix.gguf")
    quantize_file(source, tmp_path / "by_hand.gguf", "IQ4_NL", matrix)
    with GGUFFile(tmp_path / "by_hand.gguf") as mine, GGUFFile(tmp_path / "out/My-model-IQ4_NL.gguf") as made:
        assert {n: t.raw.tobytes() for n, t in mine.tensors.items()} == {
            n: t.raw.tobytes() for n, t in made.tensors.items()}


def test_checks_measure_what_quantizing_changed(source, tmp_path):
    card = make(source, tmp_path / "out", ["F16", "Q8_0", "Q4_0"])
    kept, good, bad = (f["check"] for f in card["files"])
    assert kept["kl"] < 1e-6 and kept["same_top"] == 1
    assert kept["kl"] < good["kl"] < bad["kl"]
    assert card["importance"] is None
    assert all({"id", "severity", "summary"} <= issue.keys() for f in card["files"] for issue in f["issues"])
    assert "No importance matrix" in (tmp_path / "out/README.md").read_text()


def test_encoders_are_compared_by_their_vectors(tmp_path):
    path = tiny(tmp_path / "bert.gguf", "bert", type="F16")
    (made,) = make(path, tmp_path / "out", ["Q8_0"], name="b")["files"]
    assert 0.99 < made["check"]["cosine"] < 1.0001
    assert "cosine" in (tmp_path / "out/README.md").read_text()


def test_large_files_are_split(source, tmp_path):
    (made,) = make(source, tmp_path / "out", ["Q8_0"], max_size=150_000)["files"]
    assert made["file"] == "My-model-Q8_0-00001-of-00002.gguf"
    assert sum(s["size_bytes"] for s in made["shards"]) == made["size_bytes"]
    with Model(tmp_path / "out" / made["file"]) as m:
        assert np.isfinite(m.logits([1, 2])).all()


def test_what_cannot_be_made_is_refused_before_anything_is_written(source, tmp_path, text):
    quantized = tiny(tmp_path / "q.gguf", type="Q8_0")
    wide, empty = tiny(tmp_path / "wide.gguf", type="F16", width=256, ff=256, layers=1), tmp_path / "empty.gguf"
    Imatrix({"other.weight": Entry(np.ones((1, 8)), 1, np.ones((1, 8)))}, [], 1, 128).save(empty)
    for wrong, words, options in (
        (source, "IQ2_XS want an importance matrix", dict(types=["Q8_0", "IQ2_XS"])),
        (source, "no file type 'Q9'", dict(types=["Q9"])),
        (source, "different types", dict(types=["Q8_0", "q8_0"])),
        (source, "different types", dict(types=[])),
        (source, "loaded or made", dict(types=["Q8_0"], text=text, imatrix=text)),
        (quantized, "is quantized already", dict(types=["Q4_0"])),
        (wide, "IQ3_XS would make .* IQ3_XXS, .* give an importance matrix", dict(types=["Q8_0", "IQ3_XS"])),
        (wide, "Q2_K_S would make .* Q2_K,", dict(types=["Q2_K_S"])),
        (wide, "nothing for it", dict(types=["IQ3_XXS"], imatrix=empty)),
    ):
        with pytest.raises(ModelError, match=words):
            make(wrong, tmp_path / "out", **options)
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    with pytest.raises(FormatError):
        make(tmp_path / "bad.gguf", tmp_path / "out", ["Q8_0"])
    assert not (tmp_path / "out").exists()


def test_what_is_there_needs_force(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/README.md").write_text("mine")
    with pytest.raises(FileExistsError, match="--force"):
        make(source, tmp_path / "out", ["Q8_0"])
    assert os.listdir(tmp_path / "out") == ["README.md"]
    make(source, tmp_path / "out", ["Q8_0"], force=True)
    assert "My-model" in (tmp_path / "out/README.md").read_text()


@pytest.mark.parametrize("name", ["imatrix.gguf", "Q8_0-00001-of-00009.gguf"])
def test_matrices_and_shards_that_are_there_need_force(tmp_path, text, name):
    """Both were found only after converting, quantizing, measuring."""
    folder = folder_of(tmp_path / "Small-Llama")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"Small-Llama-{name}").write_text("mine")
    with pytest.raises(FileExistsError, match="--force"):
        make(folder, tmp_path / "out", ["F16", "Q8_0"], text=text, max_size=100_000, progress=pytest.fail)
    assert os.listdir(tmp_path / "out") == [f"Small-Llama-{name}"]


def test_what_was_converted_is_split_too(tmp_path):
    folder = folder_of(tmp_path / "Small-Llama")
    large, small = make(folder, tmp_path / "out", ["F16", "Q4_0"], max_size=60_000)["files"]
    assert {name.partition("0000")[0] for name in os.listdir(tmp_path / "out")} == {
        "Small-Llama-F16-", "Small-Llama-Q4_0.gguf", "README.md", "card.json"}
    assert all(shard["size_bytes"] <= 60_000 for shard in large["shards"]) and "shards" not in small
    (kept,) = make(folder, tmp_path / "whole", ["F16"], max_size=10**9)["files"]
    assert kept["file"] == "Small-Llama-F16.gguf"


def test_a_cancelled_run_leaves_whole_files_only(source, tmp_path):
    stages = []

    def progress(stage, done, total):
        stages.append(stage)

    with pytest.raises(Cancelled):
        make(source, tmp_path / "out", ["Q8_0", "Q4_0"], progress=progress, cancel=lambda: "Q4_0" in stages)
    assert os.listdir(tmp_path / "out") == ["My-model-Q8_0.gguf"]
    GGUFFile(tmp_path / "out/My-model-Q8_0.gguf").close()


def test_what_a_killed_run_left_is_swept(source, tmp_path):
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    dead = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    for pid in (dead, os.getpid()):
        (tmp_path / f"out/.making-{pid}-x").mkdir(parents=True)
        (tmp_path / f"out/.making-{pid}-x/half.gguf").touch()
    make(source, tmp_path / "out", ["Q8_0"])
    assert [name for name in os.listdir(tmp_path / "out") if name.startswith(".")] == [f".making-{os.getpid()}-x"]


def test_the_command_makes_them(source, tmp_path):
    line = ["make", str(source), "-o", str(tmp_path / "out"), "--types", "Q8_0, Q4_0", "--name", "a b"]
    done = CliRunner().invoke(cli, line)
    assert done.exit_code == 0, done.output
    assert "a-b-Q8_0.gguf" in done.stdout
    assert done.stderr.split() == ["Q8_0", "Q4_0", "check"]
    told = json.loads(CliRunner().invoke(cli, [*line, "--force", "--json"]).stdout)
    assert [f["type"] for f in told["files"]] == ["Q8_0", "Q4_0"]


# --- from the Hub ---------------------------------------------------------------------------------


@pytest.fixture
def on_the_hub(server, tmp_path):
    """ann/Small-Llama: a model folder, and beside it what must not be fetched."""
    folder = folder_of(tmp_path / "there")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    more = {"modeling.py": b"raise SystemExit", "pytorch_model.bin": b"\x80\x02", "consolidated.safetensors": b"twice"}
    server.repos["ann/Small-Llama"] = files | more
    return server


def test_a_repository_is_fetched_converted_and_named(on_the_hub, tmp_path):
    card = make("ann/Small-Llama", tmp_path / "out", ["Q8_0"], name="small")
    assert card["source"]["repository"] == "ann/Small-Llama" and card["source"]["revision"] == COMMIT
    files = on_the_hub.repos["ann/Small-Llama"]
    for source in card["source"]["files"]:
        assert source["sha256"] == hashlib.sha256(files[source["file"]]).hexdigest()
    fetched = {path.rpartition("/")[2] for method, path, _ in on_the_hub.requests if "/resolve/" in path}
    assert fetched == {"model.safetensors", "config.json", "tokenizer.json"}
    assert 'base_model: "ann/Small-Llama"' in (tmp_path / "out/README.md").read_text()
    transfers = len(on_the_hub.transfers())
    make("ann/Small-Llama", tmp_path / "again", ["Q8_0"], name="small")
    assert len(on_the_hub.transfers()) == transfers  # what is cached is not fetched again


def test_a_repository_of_gguf_files_gives_its_largest_type(server, source, tmp_path):
    server.repos["ann/tiny-GGUF"]["tiny-F16.gguf"] = source.read_bytes()
    card = make("ann/tiny-GGUF", tmp_path / "out", ["Q8_0"])
    assert [f["file"] for f in card["source"]["files"]] == ["tiny-F16.gguf"]
    with pytest.raises(NameNotFound, match="neither safetensors nor a GGUF file in F32"):
        make("bob/text", tmp_path / "none", ["Q8_0"])


def test_folders_lead_nowhere_else(on_the_hub, tmp_path):
    on_the_hub.repos["ann/Small-Llama"]["../config.json"] = b"{}"
    with pytest.raises(NameNotFound, match="not a plain file name"):
        make("ann/Small-Llama", tmp_path / "out", ["Q8_0"])
