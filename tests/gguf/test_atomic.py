"""A file is written whole or not at all, whatever happens on the way."""

import errno
import os
import subprocess
import sys

import pytest

from llama_gguf.gguf import atomic, replacing, writeback
from llama_gguf.gguf.atomic import replacing_all


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.bin"


def write(path, raw=b"new", **options):
    with replacing(path, **options) as out:
        out.write(raw)


def test_the_file_appears_only_when_whole(path):
    with replacing(path) as out:
        out.write(b"half")
        out.flush()
        assert not path.exists()
        (temp,) = os.listdir(path.parent)
        assert temp.startswith(f".out.bin.{os.getpid()}.") and temp.endswith(".tmp")
    assert os.listdir(path.parent) == ["out.bin"]


def test_an_existing_file_needs_force(path):
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError, match="--force"):
        write(path)
    assert path.read_bytes() == b"old"
    write(path, force=True)
    assert path.read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_kept(path):
    with pytest.raises(FileExistsError), replacing(path) as out:
        out.write(b"new")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs" and len(os.listdir(path.parent)) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(path, error):
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path, force=True) as out:
        out.write(b"half")
        raise error
    assert os.listdir(path.parent) == ["out.bin"] and path.read_bytes() == b"old"


def test_a_reader_keeps_the_replaced_file(path):
    path.write_bytes(b"old")
    with open(path, "rb") as reader:
        write(path, force=True)
        assert reader.read() == b"old"


def test_an_input_is_never_replaced(path, tmp_path):
    path.write_bytes(b"old")
    os.link(path, tmp_path / "hard")
    for name in (path, tmp_path / "hard"):
        with pytest.raises(FileExistsError, match="also an input"):
            write(name, force=True, inputs=[tmp_path / "absent", path])


def test_a_device_is_never_replaced():
    with pytest.raises(OSError, match="not a regular file"):
        write(os.devnull, force=True)


def test_free_space_is_checked_first(path, monkeypatch):
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(OSError, match="11 bytes are needed, but only 10 are free") as caught:
        write(path, size=11)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    write(path, size=10)


def test_temporaries_of_dead_processes_are_swept(path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True).stdout.strip()
    kept = [f".out.bin.{os.getpid()}.00000000.tmp", f".other.{dead}.00000000.tmp", ".out.bin.tmp"]
    for name in [*kept, f".out.bin.{dead}.0123abcd.tmp"]:
        (path.parent / name).touch()
    write(path)
    assert sorted(os.listdir(path.parent)) == sorted([*kept, "out.bin"])


CRASH = """
import os, signal, sys
from llama_gguf.gguf import replacing, write_gguf
path, calls = sys.argv[1], 0
def write(value):
    data = lambda: iter([value * 64000, value * 64000])
    write_gguf(path, {"a": "b"}, [("w", "I8", (128000,), data)], force=True)
def die_at(n):
    def count(frame, event, arg):
        global calls
        calls += event in ("c_call", "c_return")
        if calls >= n:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(count)
write(b"a")
old = open(path, "rb").read()
write(b"b")
new = open(path, "rb").read()
write(b"a")
n = 0
while True:
    n += 1 + n // 16
    child = os.fork()
    if not child:
        die_at(n)
        write(b"b")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    found = open(path, "rb").read()
    assert found in (old, new), n
    print(n, "new" if found == new else "old", len(os.listdir(os.path.dirname(path))))
    if status == 0:
        break
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked writers")
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_file(path):
    done = subprocess.run([sys.executable, "-c", CRASH, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) > 30
    assert [state for _, state, _ in rows] == sorted((s for _, s, _ in rows), reverse=True)
    assert "2" in {files for *_, files in rows}  # a temporary was left, and later swept
    assert rows[-1][1:] == ["new", "1"]


FULL = """
import os, resource, sys
from llama_gguf.gguf import write_gguf
path, limit = sys.argv[1], int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write_gguf(path, {}, [("w", "I8", (100000,), lambda: iter([bytes(10000)] * 10))], force=True)
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limit")
@pytest.mark.parametrize("limit", [0, 1, 63, 4096, 60_000, 100_000])
def test_a_full_disk_keeps_the_old_file_and_says_how_much_is_needed(path, limit):
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", FULL, path, str(limit)], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert "100,064 bytes are needed" in done.stdout and str(path) in done.stdout
    assert os.listdir(path.parent) == ["out.bin"] and path.read_bytes() == b"old"


@pytest.mark.parametrize("links", [True, False])
def test_several_files_appear_or_none(tmp_path, monkeypatch, links):
    """The second rename fails; the first is undone, with and without hard links."""
    if not links:
        monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    (tmp_path / "b").write_bytes(b"old")

    def write_all():
        with replacing_all() as start:
            for name in "abc":
                start(tmp_path / name, None, True).write(b"new")
            assert not (tmp_path / "c").exists()

    real = os.replace
    broken = lambda a, b: real(a, b) if os.path.basename(b) != "a" else real("/none/of/it", b)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", broken)
        with pytest.raises(FileNotFoundError):
            write_all()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"b": b"old"}
    write_all()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys("abc", b"new")


def test_bytes_go_to_the_disk_while_more_are_made(path, monkeypatch):
    calls = []
    monkeypatch.setattr(writeback, "EVERY", 1000)
    monkeypatch.setattr(writeback, "sync_file_range", lambda fd, *rest: calls.append((os.fstat(fd).st_size, *rest)))
    raw = os.urandom(1_000_000)
    with replacing(path) as out:
        for start in range(0, len(raw), 700):  # less than the buffer holds, so that flushes are uneven
            out.write(raw[start : start + 700])
        assert out.tell() == len(raw)
        sizes = [size for size, *_ in calls]
        assert sizes == sorted(set(sizes)) and len(sizes) >= 5 and sizes[0] >= 1000 and sizes[-1] > 800_000
    assert {tuple(rest) for _, *rest in calls} == {(0, 0, 2)}
    assert path.read_bytes() == raw


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's system call")
def test_the_system_takes_the_call_to_write_back(path):
    with open(path, "wb") as file:
        file.write(b"new")
        file.flush()
        assert writeback.sync_file_range(file.fileno(), 0, 0, writeback.SYNC_FILE_RANGE_WRITE) == 0


@pytest.mark.parametrize("call", [None, lambda *_: -1])
def test_a_system_that_cannot_write_back_early_writes_all_the_same(path, monkeypatch, call):
    monkeypatch.setattr(writeback, "EVERY", 10)
    monkeypatch.setattr(writeback, "sync_file_range", call)
    write(path, bytes(100_000))
    assert path.read_bytes() == bytes(100_000)
