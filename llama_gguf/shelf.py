"""The models on this machine: a list of them all, and taking away those that are ours to take."""

import os
from contextlib import suppress

from llama_gguf import catalogue, elsewhere, transfer
from llama_gguf.catalogue import ALIASES
from llama_gguf.errors import NameNotFound


def models():
    """CachedModels of the Hub's cache, of ours, and of other programs, by name."""
    return sorted([*catalogue.cached_models(), *elsewhere.models()], key=lambda m: m.name)


def matching(name):
    """Those of them that NAME means: one file, or all that are cached of a repository or package."""
    if alias := ALIASES.get(name):
        package = f"pypi:{alias.package}"
        return [m for m in models() if m.name in (package, f"{alias.repo}/{alias.file}")]
    if name.partition(":")[0] in catalogue.SCHEMES:
        return [m for m in models() if name in (m.name, m.name.removesuffix(":latest"))]
    want = catalogue.parse(name)
    found = [m for m in catalogue.cached_models() if m.name.startswith(f"{want.repo}/")]
    if want.file:
        found = [m for m in found if m.name == f"{want.repo}/{want.file}"]
    if want.quant:
        found = [m for m in found if catalogue.quant_of(m.name) == want.quant.upper()]
    return found


def removable(name):
    """What `remove` would take away; NameNotFound where there is nothing, or where it is another program's."""
    if os.path.isfile(name):
        raise NameNotFound(f"{name} is a file, and files outside the caches are never deleted; give a cached NAME")
    found = matching(name)
    if not found:
        raise NameNotFound(f"there is no {name} in the caches; `llama-gguf models list` shows what there is")
    for model in found:
        if model.source in ("ollama", "lmstudio"):
            raise NameNotFound(f"{model.name} belongs to another program; remove it there")
    return found


def remove(models):
    """Take cached models away, with the blobs that nothing else refers to; bytes that this frees."""
    freed = 0
    for model in models:
        for path in model.paths:
            freed += _remove_link(path) if model.source == "hub" else _unlink(path)
        top = catalogue.hub_cache() if model.source == "hub" else catalogue.own_cache() / "pypi"
        _tidy(top / model.paths[0].relative_to(top).parts[0])
    return freed


def _remove_link(path):
    """A file of a snapshot: its link, and its blob unless another snapshot has a link to that."""
    blob, folder = path.resolve(), catalogue.hub_cache() / path.relative_to(catalogue.hub_cache()).parts[0]
    freed = _unlink(path)
    others = any(other.resolve() == blob for other in (folder / "snapshots").rglob("*") if other.is_symlink())
    if blob == path or others or not blob.is_relative_to(folder.resolve()):
        return 0 if others else freed
    return _unlink(blob)


def _unlink(path):
    size = path.stat().st_size
    path.unlink()
    return size


def _tidy(folder):
    """Remove parts of downloads that were given up, and what is empty; the folder itself, if no file is left."""
    locks = (lock.with_suffix("") for lock in folder.glob("blobs/*.part.lock"))
    for part in {*folder.glob("blobs/*.part"), *locks}:
        transfer.give_up(part)
    left = [path for path in (folder / "snapshots").rglob("*") if not path.is_dir() or path.is_symlink()]
    if (folder / "snapshots").is_dir() and not left:
        for ref in (folder / "refs").rglob("*"):
            if ref.is_file():
                ref.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            with suppress(OSError):
                path.rmdir()
    with suppress(OSError):
        folder.rmdir()
