"""A local Hub, empty caches and a package index of one folder for each test."""

import base64
import hashlib
import zipfile

import pytest

from llama_gguf import catalogue

from .server import DATA, FakeHub


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Caches below a temporary folder; nothing of the user's environment is seen."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", *catalogue.OFFLINE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setenv("LLAMA_GGUF_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return tmp_path


@pytest.fixture
def server(monkeypatch):
    """A running Hub with three repositories; HF_ENDPOINT points to it."""
    hub = FakeHub(
        {
            "ann/tiny-GGUF": {
                "README.md": b"hello",
                "tiny-Q8_0.gguf": DATA * 2,
                "tiny-Q4_K_M.gguf": DATA,
                "tiny-IQ2_XS.gguf": DATA[:3000],
                "mmproj-tiny-f16.gguf": DATA[:1000],
            },
            "ann/split-GGUF": {
                f"Q4_K_M/big-Q4_K_M-0000{i}-of-00003.gguf": DATA + bytes([i]) for i in (1, 2, 3)
            },
            "bob/text": {"README.md": b"nothing here"},
        }
    )
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    yield hub
    hub.close()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels that pip takes packages from; `index(name, files)` adds one."""
    pytest.importorskip("pip")
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_CONSTRAINT", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def add(name, files):
        stem = name.replace("-", "_")
        info = f"{stem}-1.0.dist-info"
        files = {f"{stem}/{key}": value for key, value in files.items()}
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
        files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        record = "".join(f"{k},sha256={_digest(v)},{len(v)}\n" for k, v in files.items())
        files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
        with zipfile.ZipFile(folder / f"{stem}-1.0-py3-none-any.whl", "w") as wheel:
            for key, data in files.items():
                wheel.writestr(key, data)

    return add


def _digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture
def no_network(monkeypatch):
    """Any connection and name look-up fails the test."""
    calls = []

    def refuse(*args, **kwargs):
        calls.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    yield
    assert not calls
