"""Writing a file, or several, whole or not at all: temporary siblings, fsync, rename, fsync of the folder.

Whoever has the old file mapped keeps its bytes; a crash leaves the old file or the new one.
"""

import contextlib
import errno
import io
import os
import re
import shutil
import stat

from llama_gguf.gguf.writeback import EagerFile

try:
    import fcntl
except ImportError:  # Windows: an open file cannot be removed there, so no lock is needed
    fcntl = None


@contextlib.contextmanager
def replacing(path, size=None, force=False, inputs=(), rename=None):
    """A binary file to write; it becomes `path` when the block ends without an error.

    `size` is what will be written, if known: free space is checked first. Raises
    FileExistsError where `path` exists and `force` is not set, or is one of `inputs`; OSError
    names `path` and, if known, the bytes needed. rename(temporary, path): called at the end instead of os.replace.
    """
    path = os.fspath(path)
    _refuse(path, force, inputs)
    folder, name = os.path.split(path)
    folder = folder or "."
    _sweep(folder, name)
    _check_space(folder, path, size)
    temp = _beside(path)
    try:
        with io.BufferedWriter(EagerFile(temp, "x")) as out:
            _lock(out)
            yield out
            out.flush()
            os.fsync(out.fileno())
        _refuse(path, force, inputs)  # it may have appeared meanwhile
        (rename or os.replace)(temp, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        if isinstance(error, OSError) and error.filename in (None, temp):
            raise _explained(error, path, size) from error
        raise
    _sync_folder(folder)


@contextlib.contextmanager
def replacing_all():
    """A function that opens files as `replacing` does. They appear when the block ends, the first opened last, or none
    of them does."""
    moves = []
    try:
        with contextlib.ExitStack() as files:
            yield lambda *output: files.enter_context(replacing(*output, rename=lambda *move: moves.append(move)))
        move_all(moves)
    finally:
        for temp, _ in moves:
            with contextlib.suppress(OSError):
                os.unlink(temp)


def move_all(moves):
    """Rename each (from, to), in order; where one cannot be, those before it are undone and the error is raised.

    What stands at `to` is kept under another name until the end. A crash between two renames may leave some files old
    and some new, each of them whole.
    """
    done, kept = [], []
    try:
        for source, target in moves:
            if os.path.lexists(target):
                kept.append(_beside(target))
                done.append(_keep(target, kept[-1]))
            os.replace(source, target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            try:
                os.replace(target, source)
            except OSError:
                kept = [path for path in kept if path != target]  # rather a file too many than an old one lost
        raise
    finally:
        for path in kept:
            with contextlib.suppress(OSError):
                os.unlink(path)
    for folder in {os.path.dirname(target) or "." for _, target in moves}:
        _sync_folder(folder)


def _keep(path, other):
    """Keep the file as `other` too; (path, other). Disks without hard links: as `other` alone."""
    if os.path.isdir(path) and not os.path.islink(path):
        raise IsADirectoryError(errno.EISDIR, "a folder is where the file should be", os.fspath(path))
    try:
        os.link(path, other, follow_symlinks=False)
    except (OSError, NotImplementedError):
        os.rename(path, other)
    return path, other


def _beside(path):
    """A new name for a temporary file in the folder of `path`; `_sweep` knows it."""
    folder, name = os.path.split(os.fspath(path))
    return os.path.join(folder or ".", f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")


def check_output(path, size=None, force=False, inputs=()):
    """Raise what `replacing` would: for whoever has much to do first, or writes several files."""
    path = os.fspath(path)
    _refuse(path, force, inputs)
    _check_space(os.path.dirname(path) or ".", path, size)


def _refuse(path, force, inputs):
    if not os.path.lexists(path):
        return
    for source in inputs:
        if _same_file(path, source):
            raise FileExistsError(errno.EEXIST, "the output is also an input", path)
    if not force:
        raise FileExistsError(errno.EEXIST, "it exists already; --force (force=True) replaces it",
                              path)
    if not stat.S_ISREG(os.lstat(path).st_mode) and not os.path.islink(path):
        raise OSError(errno.EINVAL, "the output is not a regular file", path)


def _same_file(a, b):
    try:
        return os.path.samefile(a, b)
    except FileNotFoundError:
        return False


def _lock(file):
    """Marks a temporary file as in use; a disk that has no locks must not stop the writing."""
    if fcntl:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sweep(folder, name):
    """Remove temporary files of this name that a killed process left."""
    pattern = re.compile(re.escape(f".{name}.") + r"(\d+)\.[0-9a-f]{8}\.tmp\Z")
    with contextlib.suppress(OSError):
        for entry in os.listdir(folder):
            match = pattern.match(entry)
            if match and not alive(int(match[1])):
                _remove_orphan(os.path.join(folder, entry))


def alive(pid):
    """Whether a process of this machine has the id. Windows: unknown, and no matter."""
    if os.name == "nt":  # os.kill would end the process; an open file cannot be removed anyway
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


def _remove_orphan(temp):
    """Unless it is locked: on a shared disk the writer may run on another machine."""
    with contextlib.suppress(OSError):
        if fcntl:
            with open(temp, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(temp)


def _check_space(folder, path, size):
    free = shutil.disk_usage(folder).free
    if size is not None and size > free:
        raise OSError(errno.ENOSPC, f"{size:,} bytes are needed, but only {free:,} are free", path)


def _explained(error, path, size):
    needed = f" ({size:,} bytes are needed)" if size is not None else ""
    return OSError(error.errno, f"{error.strerror or error}{needed}", path)


def _sync_folder(folder):
    """So that the rename survives a power cut; Windows and some network disks refuse."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
