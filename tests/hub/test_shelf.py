"""The models on this machine: ours, and those of Ollama and LM Studio, which are only read."""

import hashlib
import json
import os

import pytest
from click.testing import CliRunner

from llama_gguf import catalogue, elsewhere, hub, shelf
from llama_gguf.cli import cli
from llama_gguf.errors import NameNotFound

from .server import DATA

SECRET = b"GGUF of somebody else"


def program(*line):
    return CliRunner().invoke(cli, line)


@pytest.fixture
def home(tmp_path):
    """The home with folders of both programs."""
    home = tmp_path / "home"
    put_ollama(home, "registry.ollama.ai/library/llama3.2/1b", DATA)
    put_ollama(home, "registry.ollama.ai/ann/own/latest", DATA + b"1")
    put_ollama(home, "hf.co/bob/real-GGUF/Q8_0", DATA + b"2")
    folder = home / ".lmstudio/models/bob/repo-GGUF"
    folder.mkdir(parents=True)
    for name in ("m-Q8_0.gguf", "s-Q4_K_M-00001-of-00002.gguf", "s-Q4_K_M-00002-of-00002.gguf", "mmproj.gguf"):
        (folder / name).write_bytes(DATA)
    return home


def put_ollama(home, name, data, media=elsewhere.MODEL_LAYER, digest=None):
    digest = digest or f"sha256:{hashlib.sha256(data).hexdigest()}"
    models = home / ".ollama/models"
    (models / "manifests" / name).parent.mkdir(parents=True, exist_ok=True)
    layers = [{"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:0"},
              {"mediaType": media, "digest": digest, "size": len(data)}]
    (models / "manifests" / name).write_text(json.dumps({"layers": layers}))
    (models / "blobs").mkdir(exist_ok=True)
    (models / "blobs" / digest.replace(":", "-").replace("/", "_")).write_bytes(data)


def test_models_of_other_programs_are_listed_and_found(home):
    assert {m.name: (m.source, m.size_bytes) for m in shelf.models()} == {
        "ollama:llama3.2:1b": ("ollama", len(DATA)),
        "ollama:ann/own:latest": ("ollama", len(DATA) + 1),
        "ollama:hf.co/bob/real-GGUF:Q8_0": ("ollama", len(DATA) + 1),
        "lmstudio:bob/repo-GGUF/m-Q8_0.gguf": ("lmstudio", len(DATA)),
        "lmstudio:bob/repo-GGUF/s-Q4_K_M-00001-of-00002.gguf": ("lmstudio", 2 * len(DATA)),
    }
    for model in shelf.models():
        assert hub.resolve(model.name) == model.path == hub.at_hand(model.name)
    assert hub.resolve("ollama:ann/own").read_bytes() == DATA + b"1"
    rows = json.loads(program("models", "list", "--json").stdout)
    assert [row["files"] for row in rows if row["quant"] == "Q4_K_M"] == [2]


def test_other_folders_are_found_where_they_were_moved(home, tmp_path, monkeypatch):
    os.rename(home / ".ollama/models", tmp_path / "moved")
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "moved"))
    os.rename(home / ".lmstudio", tmp_path / "studio")
    (home / ".lmstudio-home-pointer").write_text(f"{tmp_path / 'studio'}\n")
    assert len(shelf.models()) == 5


@pytest.mark.parametrize(
    "name",
    [
        "ollama:", "ollama:nope", "ollama:llama3.2:2b", "ollama:../../x", "ollama:a/b/c/d/e", "ollama:..:..",
        "ollama:/etc/passwd", "lmstudio:../../secret.gguf", "lmstudio:/etc/passwd", "lmstudio:bob", "lmstudio:",
        "lmstudio:bob/../../../secret.gguf",
    ],
)
def test_names_lead_nowhere_else(home, name):
    (home / "secret.gguf").write_bytes(SECRET)
    with pytest.raises(NameNotFound):
        hub.resolve(name)


@pytest.mark.parametrize("digest", ["sha256:../../../secret.gguf", "sha256:0", "md5:" + "0" * 64, ""])
def test_manifests_lead_nowhere_else(home, digest):
    (home / "secret.gguf").write_bytes(SECRET)
    put_ollama(home, "registry.ollama.ai/library/evil/latest", SECRET, digest=digest or None,
               media=elsewhere.MODEL_LAYER if digest else "application/vnd.ollama.image.adapter")
    assert "ollama:evil:latest" not in {m.name for m in shelf.models()}
    with pytest.raises(NameNotFound):
        hub.resolve("ollama:evil")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"layers": 1}', '{"layers": [1]}', '{"layers": [{"digest": 5}]}'])
def test_broken_manifests_are_passed_over(home, text):
    path = home / ".ollama/models/manifests/registry.ollama.ai/library/broken/latest"
    path.parent.mkdir()
    path.write_text(text)
    assert len(shelf.models()) == 5


def test_paths_are_told_without_a_download(server, home):
    done = program("models", "path", "ann/tiny-GGUF:Q8_0")
    assert (done.exit_code, done.stdout) == (1, "") and "llama-gguf download ann/tiny-GGUF:Q8_0" in done.stderr
    assert not server.requests
    path = hub.resolve("ann/tiny-GGUF:Q8_0")
    assert program("models", "path", "ann/tiny-GGUF:Q8_0").stdout == f"{path}\n"
    assert program("models", "path", "ollama:llama3.2:1b").stdout.startswith(str(home))


def test_a_file_is_removed_with_its_blob(server, caches):
    hub.resolve("ann/tiny-GGUF:Q8_0"), hub.resolve("ann/tiny-GGUF:Q4_K_M"), hub.resolve("ann/split-GGUF")
    done = program("models", "remove", "ann/tiny-GGUF:Q8_0", "--yes", "--json")
    told = json.loads(done.stdout)
    assert told == {"removed": ["ann/tiny-GGUF/tiny-Q8_0.gguf"], "freed_bytes": 2 * len(DATA)}
    assert [m.name.split("/")[-1] for m in shelf.models()] == ["big-Q4_K_M-00001-of-00003.gguf", "tiny-Q4_K_M.gguf"]
    assert hub.at_hand("ann/tiny-GGUF:Q8_0") is None
    assert hub.resolve("ann/tiny-GGUF:Q8_0").read_bytes() == 2 * DATA  # and can be had again
    assert program("models", "remove", "ann/tiny-GGUF", "-y").exit_code == 0
    assert program("models", "remove", "ann/split-GGUF", "-y").exit_code == 0
    assert not list(catalogue.hub_cache().glob("models--*"))


def test_what_others_keep_in_the_cache_stays(server):
    hub.resolve("ann/tiny-GGUF:Q8_0")
    folder = catalogue.snapshot("ann/tiny-GGUF")
    (folder / "config.json").write_text("{}")
    older = folder.parent / "older"
    older.mkdir()
    os.symlink(os.readlink(folder / "tiny-Q8_0.gguf"), older / "tiny-Q8_0.gguf")
    done = program("models", "remove", "ann/tiny-GGUF", "-y", "--json")
    assert json.loads(done.stdout)["freed_bytes"] == 0
    assert (older / "tiny-Q8_0.gguf").read_bytes() == 2 * DATA
    assert (folder / "config.json").exists()
    assert not shelf.models()


def test_packages_are_removed(index):
    index("my-model", {"m.gguf": DATA})
    hub.resolve("pypi:my-model")
    assert program("models", "remove", "pypi:my-model", "-y").exit_code == 0
    assert not shelf.models() and not list((catalogue.own_cache() / "pypi").glob("*"))


def test_nothing_else_is_removed(server, home, tmp_path):
    (tmp_path / "own.gguf").write_bytes(DATA)
    for name in ("ollama:llama3.2:1b", "lmstudio:bob/repo-GGUF/m-Q8_0.gguf", "ann/tiny-GGUF", "smollm2", "../x"):
        done = program("models", "remove", name, "-y")
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1), name
    assert program("models", "remove", str(tmp_path / "own.gguf"), "-y").exit_code == 1
    assert (tmp_path / "own.gguf").exists() and len(shelf.models()) == 5


def test_nobody_is_asked_where_nobody_is(server):
    hub.resolve("ann/tiny-GGUF:Q8_0")
    done = program("models", "remove", "ann/tiny-GGUF")
    assert done.exit_code == 2 and "--yes" in done.stderr
    assert len(shelf.models()) == 1


def test_download_takes_a_quantization(server):
    done = program("download", "ann/tiny-GGUF", "--quant", "iq2_xs")
    assert done.stdout.endswith("tiny-IQ2_XS.gguf\n")
    text = program("download", "ann/split-GGUF").stdout
    assert "3 files" in text and text.count("\n") == 2
    for name in ("ann/tiny-GGUF", "hf://ann/tiny-GGUF", "https://huggingface.co/ann/tiny-GGUF", "ann/tiny-GGUF@main"):
        assert "no language model" in program("download", name).stdout


def test_search_takes_author_and_order(server):
    rows = json.loads(program("models", "search", "gguf", "--author", "ann", "--sort", "likes", "--json").stdout)
    assert {row["name"] for row in rows} == {"ann/tiny-GGUF", "ann/split-GGUF"}
    assert "sort=likes" in server.requests[-1][1]
    assert program("models", "search", "x", "--sort", "beauty").exit_code == 2


def test_a_download_that_goes_on_keeps_its_part(tmp_path):
    """As its process holds the lock, taking a model of the same repository away leaves it; what was given up goes."""
    from huggingface_hub.utils import WeakFileLock

    blobs = tmp_path / "models--ann--m" / "blobs"
    blobs.mkdir(parents=True)
    for name in ("going.part", "left.part", "left.part.lock"):
        (blobs / name).write_bytes(b"x")
    with WeakFileLock(blobs / "going.part.lock"):
        shelf._tidy(blobs.parent)
        assert {path.name for path in blobs.iterdir()} == {"going.part", "going.part.lock"}
    shelf._tidy(blobs.parent)
    assert not blobs.parent.exists()
