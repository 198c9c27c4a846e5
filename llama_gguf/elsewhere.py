"""Models that other programs keep on this machine, which are read where they are: Ollama's and LM Studio's.

Nothing of theirs is ever written. The names `ollama:MODEL[:TAG]` and `lmstudio:PUBLISHER/REPO/FILE` lead to them.
"""

import json
import os
import re
from contextlib import suppress
from pathlib import Path

from llama_gguf import catalogue
from llama_gguf.catalogue import CachedModel
from llama_gguf.errors import NameNotFound

MODEL_LAYER = "application/vnd.ollama.image.model"
DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
PART = re.compile(r"[\w.-]+", re.ASCII)
MANIFEST_BYTES = 1 << 20


def find(name):
    """The path that an `ollama:` or `lmstudio:` name means; None for other names, NameNotFound if nothing is there."""
    program, colon, rest = str(name).partition(":")
    if not colon or program not in ("ollama", "lmstudio"):
        return None
    path = _in_ollama(rest) if program == "ollama" else _in_lm_studio(rest)
    if path is None:
        raise NameNotFound(f"there is no {name}; `llama-gguf models list` shows what there is")
    return path


def models():
    """CachedModels of both programs."""
    yield from _ollama_models()
    root = lm_studio_folder()
    for names, size in catalogue.models_in(root) if root else ():
        paths = tuple(root / name for name in names)
        yield CachedModel(f"lmstudio:{names[0]}", paths[0], size, "lmstudio", paths)


# --- Ollama: a manifest for each model names its layers, which are files called by their SHA-256 --


def ollama_folder():
    """Where Ollama keeps models: OLLAMA_MODELS, the user's, or that of its service on Linux."""
    if value := os.environ.get("OLLAMA_MODELS"):
        return Path(value).expanduser()
    own = Path.home() / ".ollama" / "models"
    service = Path("/usr/share/ollama/.ollama/models")
    return service if service.is_dir() and not own.is_dir() else own


def _ollama_models():
    manifests = ollama_folder() / "manifests"
    for path in sorted(manifests.glob("*/*/*/*")):
        parts = path.relative_to(manifests).parts
        if blob := _blob(path):
            *where, tag = parts
            short = where[2:] if where[:2] == ["registry.ollama.ai", "library"] else where
            short = short[1:] if short[0] == "registry.ollama.ai" else short
            yield CachedModel(f"ollama:{'/'.join(short)}:{tag}", blob, blob.stat().st_size, "ollama", (blob,))


def _in_ollama(name):
    name, _, tag = name.partition(":")
    parts = name.split("/")
    if len(parts) < 3:
        parts = ["registry.ollama.ai", *(["library"] if len(parts) == 1 else []), *parts]
    parts.append(tag or "latest")
    if len(parts) != 4 or not all(PART.fullmatch(p) and p.strip(".") for p in parts):
        return None
    return _blob(ollama_folder().joinpath("manifests", *parts))


def _blob(manifest):
    """The model file that a manifest names, or None."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        with open(manifest, "rb") as file:
            layers = json.loads(file.read(MANIFEST_BYTES))["layers"]
        for layer in layers:
            digest = DIGEST.fullmatch(layer["digest"])
            if layer["mediaType"] == MODEL_LAYER and digest:
                blob = ollama_folder() / "blobs" / f"sha256-{digest[1]}"
                return blob if _is_gguf(blob) else None
    return None


def _is_gguf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"GGUF"


# --- LM Studio: folders of publishers, repositories, files ----------------------------------------


def lm_studio_folder():
    """Where LM Studio keeps models, or None: its home may be moved, which a pointer file tells."""
    homes = [Path.home() / ".lmstudio", Path.home() / ".cache" / "lm-studio"]
    with suppress(OSError, ValueError):
        homes.insert(0, Path((Path.home() / ".lmstudio-home-pointer").read_text().strip()))
    return next((home / "models" for home in homes if (home / "models").is_dir()), None)


def _in_lm_studio(name):
    catalogue.check_member(name, "lmstudio")
    root = lm_studio_folder()
    path = root and root / name
    return path if path and path.is_file() else None
