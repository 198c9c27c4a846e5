"""A Hugging Face model folder: its JSON files and its tensors, and nothing outside of it.

Names come from files that a stranger may have written, so a shard must be a plain file beside its index, and a link may
lead only to another file of the folder or, as in the Hub's cache, to its `blobs`. Pickles and Python files are never
opened: whoever can write those can run code.
"""

import json
import os
import re
from functools import cached_property
from pathlib import Path

from ..errors import FormatError, ModelError
from .safetensors import open_file

MAX_JSON = 200_000_000
"""Bytes of a JSON file that is still read; tokenizers of 260,000 tokens have 35 MB."""
SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")


class Folder:
    """The files of a model folder. `notes` collects what the reader of a conversion should know."""

    def __init__(self, path):
        self.path, self.notes = Path(path), []
        if not self.path.is_dir():
            what = "is a file; give the folder it is in" if self.path.exists() else "there is no such folder"
            raise ModelError(what, path=self.path)
        self._real = Path(os.path.realpath(self.path))

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def file(self, name):
        """The path of a file of the folder, or None where there is none. FormatError: it leads out of the folder."""
        path = self.path / name
        if not os.path.lexists(path):
            return None
        real = Path(os.path.realpath(path))
        homes = [self._real]
        if self._real.parent.name == "snapshots":  # models--user--name/{snapshots/REVISION,blobs} of the Hub's cache
            homes.append(self._real.parent.parent / "blobs")
        if not any(real.is_relative_to(home) for home in homes):
            raise FormatError(f"is a link to {real}, outside of the folder; copy the file instead", path=path)
        return path if real.is_file() else None

    def text(self, name):
        """The text of a file, or None."""
        path = self.file(name)
        if path is None:
            return None
        if path.stat().st_size > MAX_JSON:
            raise FormatError(f"has more than {MAX_JSON:,} bytes", path=path)
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(f"is not UTF-8 text: {error}", path=path) from None

    def json(self, name, default=None):
        """The object in a JSON file; `default` where there is no such file."""
        text = self.text(name)
        if text is None:
            return default
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"is not JSON: {error}", path=self.path / name) from None
        if not isinstance(value, dict | list):
            raise FormatError("must hold a JSON object", path=self.path / name)
        return value

    def dict(self, name):
        """The object in a JSON file; empty where there is no such file or it holds something else."""
        value = self.json(name, {})
        return value if isinstance(value, dict) else {}

    @cached_property
    def config(self):
        value = self.json("config.json")
        if isinstance(value, dict):
            return value
        if self.file("params.json"):
            raise ModelError("is in Mistral's own format (params.json); convert the same model's folder for "
                             "transformers, which has config.json and model*.safetensors", path=self.path)
        raise ModelError("has no config.json, so it is not a model for transformers", path=self.path)

    @cached_property
    def tensors(self):
        """Name to safetensors.Stored of all shards, in the order of the files."""
        found = {}
        for name in self._shards():
            for tensor in open_file(self.path / name).values():
                if tensor.name in found:
                    raise FormatError(f"tensor {tensor.name!r} is in {os.path.basename(found[tensor.name].path)} too",
                                      path=self.path / name, tensor=tensor.name)
                found[tensor.name] = tensor
        self._check_complete(found)
        return found

    @cached_property
    def _weight_map(self):
        """Tensor name to shard, from the index; empty without one."""
        name = "model.safetensors.index.json"
        weight_map = self.dict(name).get("weight_map", {})
        if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
            raise FormatError("its weight_map must give a file name to each tensor", path=self.path / name)
        unsafe = [v for v in weight_map.values() if not v.endswith(".safetensors") or v != os.path.basename(v)
                  or v.startswith(".") or "\\" in v or "\0" in v]
        if unsafe:
            raise FormatError(f"names {unsafe[0][:200]!r}, which is no safetensors file beside it",
                              path=self.path / name)
        return weight_map

    def _shards(self):
        names = sorted(set(self._weight_map.values())) or self._without_index()
        missing = [name for name in names if not self.file(name)]
        if missing:
            raise FormatError(f"misses {len(missing)} of {len(names)} files: {', '.join(missing)}", path=self.path)
        return names

    def _without_index(self):
        names = sorted(entry for entry in os.listdir(self.path)
                       if entry.startswith("model") and entry.endswith(".safetensors"))
        match = SHARD.fullmatch(names[0]) if names else None
        if match:
            return [f"{match[1]}-{i:05}-of-{match[3]}.safetensors" for i in range(1, int(match[3]) + 1)]
        if not names:
            raise ModelError(self._why_no_weights(), path=self.path)
        return names

    def _why_no_weights(self):
        others = set(os.listdir(self.path))
        if any(name.startswith("consolidated") for name in others):
            return ("has its weights in Mistral's own format (consolidated*.safetensors); convert the same model's "
                    "model*.safetensors")
        if any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in others):
            return ("has pickled weights only, and reading a pickle can run any code; load the model with transformers "
                    "where you trust it, save it with save_pretrained(..., safe_serialization=True), convert that")
        if any(name.endswith(".gguf") for name in others):
            return "holds GGUF files already; there is nothing to convert"
        return "has no model*.safetensors"

    def _check_complete(self, found):
        absent = [name for name in self._weight_map if name not in found]
        if absent:
            files = sorted({self._weight_map[name] for name in absent})
            raise FormatError(f"{len(absent)} tensors of the index are not in {', '.join(files)}: "
                              f"{', '.join(absent[:3])} ...", path=self.path)
        extra = len(found) - len(self._weight_map)
        if self._weight_map and extra:
            self.note(f"{extra} tensors are in the files, but not in the index")
