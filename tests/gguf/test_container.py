"""The container: what is read, what is refused, and how it is said."""

import os
import pickle
import struct
import subprocess
import sys

import pytest

from llama_gguf.errors import FormatError, ModelError
from llama_gguf.gguf import GGUFFile
from llama_gguf.gguf.header import MAX_KEYS, MAX_TENSORS

from .craft import array_key, gguf, info, str_key, string, u32_key

WEB = b"<!DOCTYPE html><html>Sorry</html>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
SAFETENSORS = struct.pack("<Q", 20) + b'{"a":{"dtype":"F32"}}' + bytes(16)


@pytest.mark.parametrize(
    "raw, words",
    [
        (b"", "empty"),
        (b"GG", "ends after 2 of the 24 header bytes"),
        (b"GGUF\3\0\0\0", "ends after 8 of the 24 header bytes"),
        (LFS, "git-lfs pointer"),
        (WEB, "web page"),
        (SAFETENSORS, "safetensors file"),
        (pickle.dumps({"a": 1}), "pickle"),
        (b"PK\3\4" + bytes(40), "zip archive"),
        (b"\x1f\x8b\x08" + bytes(40), "gzip"),
        (b'{"error": "Repository not found"}', "JSON text"),
        (bytes(64), "starts with zeros"),
        (b"FUGG" + bytes(40), "big-endian"),
        (b"tjgg" + bytes(40), "GGJT"),
        (b"llama" + bytes(40), "not a GGUF file.*b'llam'"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (gguf(version=1), "version 1"),
        (gguf(version=4), "version 4"),
    ],
)
def test_a_wrong_file_gets_a_helpful_message(put, raw, words):
    with pytest.raises(FormatError, match=words) as caught:
        GGUFFile(put(raw))
    assert caught.value.path.endswith("made.gguf")
    assert str(caught.value).startswith(caught.value.path)


def test_a_folder_and_a_pipe_are_refused(tmp_path):
    with pytest.raises(FormatError, match="folder"):
        GGUFFile(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="pipe"):
        GGUFFile(tmp_path / "pipe")


def test_a_missing_file_is_the_usual_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        GGUFFile(tmp_path / "none.gguf")


@pytest.mark.parametrize("version", [2, 3])
def test_versions_2_and_3_are_read(put, version):
    data = struct.pack("<32f", *range(32))
    raw = gguf([u32_key("a.b", 7)], [info("w", (8, 4))], data, version=version)
    with GGUFFile(put(raw)) as file:
        assert (file.version, file.alignment, file.size) == (version, 32, len(raw))
        assert file.metadata["a.b"] == 7
        assert file.tensors["w"].shape == (4, 8)
        assert file.tensors["w"].numpy()[1].tolist() == list(range(8, 16))


def limits():
    """(name, bytes at the limit, bytes one past it)."""
    two = struct.pack("<II", 1, 2)
    floats = bytes(128)

    def keys(n):
        return gguf([u32_key(f"{i:x}") for i in range(n)])

    def tensors(n):
        rows = (info(f"{i:x}", (8,), 0, 32 * i) for i in range(n))
        return gguf((), list(rows), bytes(32 * n))

    def one(name, dims=(32,)):
        return gguf((), [info(name, dims)], floats)

    text = gguf([str_key("k", "abc")]).rstrip(b"\0")
    yield "key bytes", gguf([u32_key("k" * 65535)]), gguf([u32_key("k" * 65536)])
    yield "key empty", gguf([u32_key("k")]), gguf([u32_key("")])
    yield "keys", keys(MAX_KEYS), keys(MAX_KEYS + 1)
    yield "name bytes", one("n" * 63), one("n" * 64)
    yield "name empty", one("n"), one("")
    yield "tensors", tensors(MAX_TENSORS), tensors(MAX_TENSORS + 1)
    yield "dimensions", one("n", (32, 1, 1, 1)), one("n", (32, 1, 1, 1, 1))
    yield "dimension 0", one("n", (32, 1)), one("n", (32, 0))
    yield "array", *(gguf([array_key("k", 4, n)])[: 24 + 25] + two for n in (2, 3))
    yield "string", text, text[:-1]
    yield "tensor bytes", one("n"), one("n")[:-1]
    yield "value kind", gguf([array_key("k", 12, 0)]), gguf([array_key("k", 13, 0)])


@pytest.mark.parametrize("good, bad", [pytest.param(g, b, id=name) for name, g, b in limits()])
def test_limit_holds_exactly_and_one_past(put, good, bad):
    GGUFFile(put(good)).close()
    with pytest.raises(FormatError):
        GGUFFile(put(bad))


@pytest.mark.parametrize(
    "raw, words",
    [
        (gguf([u32_key("a"), u32_key("a")]), "'a' appears twice"),
        (gguf((), [info("a"), info("a", offset=128)], bytes(256)), "'a' appears twice"),
        (gguf([u32_key(b"\xff")]), "not UTF-8"),
        (gguf([u32_key("a\0b")]), "NUL"),
        (gguf((), [info(b"\xff")], bytes(128)), "not UTF-8"),
        (gguf((), [info("w", type=4)], bytes(128)), "Q4_2"),
        (gguf((), [info("w", type=99)], bytes(128)), "unknown type id 99"),
        (gguf((), [info("w", (16,), type=2)], bytes(128)), "multiple of 32"),
        (gguf((), [info("w", (2**63, 2**63))], bytes(128)), "truncated"),
        (gguf((), [info("w", offset=2**64 - 32)], bytes(128)), "truncated"),
        (gguf([u32_key("general.alignment", 0)]), "power of two"),
        (gguf([u32_key("general.alignment", 24)]), "power of two"),
        (gguf([str_key("general.alignment", "32")]), "must be a u32"),
        (gguf([array_key("k", 7, 3, b"\0\1\2")]), "bool"),
        (gguf((), [info("w")], bytes(128), pad=b"x"), "not zero"),
        (gguf((), [info("w"), info("v", offset=128)], bytes(256), n_tensors=1), "not zero"),
    ],
)
def test_faults_are_refused_by_name(put, raw, words):
    with pytest.raises(FormatError, match=words):
        GGUFFile(put(raw))


def test_a_tensor_count_too_small_is_seen_without_padding(put):
    """The table of one tensor ends exactly where its data would start."""
    first = info("w" * 15, (32,))
    filler = str_key("k", "x" * (-(24 + 21 + len(first)) % 32))
    raw = gguf([filler], [first, info("v", offset=128)], bytes(256), n_tensors=1)
    assert (24 + len(filler) + len(first)) % 32 == 0
    with pytest.raises(FormatError, match="more than the 1 tensors"):
        GGUFFile(put(raw))


def test_trailing_bytes_are_harmless(put):
    GGUFFile(put(gguf((), [info("w")], bytes(128) + b"signature"))).close()


def test_padding_that_is_not_zero_warns_when_not_strict(put):
    path = put(gguf((), [info("w")], bytes(128), pad=b"x"))
    with pytest.warns(UserWarning, match="not zero"):
        GGUFFile(path, strict=False).close()


def test_a_changed_file_is_noticed_and_a_replaced_one_is_not(put):
    path = put(gguf((), [info("w")], bytes(128)))
    with GGUFFile(path) as file:
        os.replace(put(b"other", "other"), path)
        file.check_unchanged()
    path = put(gguf((), [info("w")], bytes(128)))
    with GGUFFile(path) as file:
        path.write_bytes(path.read_bytes() + b"more")
        with pytest.raises(ModelError, match="changed"):
            file.check_unchanged()


def test_views_outlive_close_but_the_file_does_not(put):
    file = GGUFFile(put(gguf([array_key("k", 4, 1, bytes(4))], [info("w")], bytes(128))))
    raw, values = file.tensors["w"].raw, file.metadata["k"]
    file.close()
    file.close()
    assert raw.sum() == 0
    with pytest.raises(ValueError, match="closed"):
        file.tensors["w"].numpy()
    del raw
    assert len(values) == 1


MEMORY = """
import sys
from llama_gguf.gguf import GGUFFile
file = GGUFFile(sys.argv[1])
print("numpy" in sys.modules)
resident = 0
inside = False
for line in open("/proc/self/smaps"):
    if "-" in line.split()[0]:
        inside = line.rstrip().endswith("big.gguf")
    elif inside and line.startswith("Rss:"):
        resident += int(line.split()[1]) * 1024
print(resident)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_opening_touches_no_tensor_pages_and_no_numpy(put):
    n = 75_000_000
    path = put(gguf([str_key("k", "x" * 100)], [info("w", (n,))]), "big.gguf")
    os.truncate(path, path.stat().st_size + 4 * n)
    done = subprocess.run([sys.executable, "-c", MEMORY, path], capture_output=True, text=True)
    numpy, resident = done.stdout.split()
    assert numpy == "False"
    assert int(resident) <= 1 << 20


def test_a_vocabulary_becomes_no_objects_before_asked(put):
    import tracemalloc

    n = 200_000
    path = put(gguf([array_key("tokens", 8, n, string("token") * n)]))
    tracemalloc.start()
    with GGUFFile(path) as file:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20
        assert len(file.metadata["tokens"]) == n
