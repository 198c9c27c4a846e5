"""A GGUF file to a folder for transformers: the inverse of a conversion, by the same tables."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ..errors import LlamaGGUFError, ModelError
from ..gguf import GGUFFile, Metadata
from . import dtypes, exported_config, rules, shards
from .config import Config
from .conversion import Conversion
from .family import families_of
from .safetensors import BITS
from .tokens import exported

OUTSIDE = ("lm_head", "embed_out", "output", "classifier", "score")
"""Modules whose names begin at the top, not under the root of the body."""
TYPES = {"F32": "F32", "F16": "F16", "BF16": "BF16"}


@dataclass
class Out:
    """A tensor of the folder: `parts` are the GGUF tensors it is made of, `undo` makes its float32 values of theirs."""

    name: str
    shape: tuple
    dtype: str
    parts: list
    undo: object

    @property
    def n_bytes(self):
        return int(np.prod(self.shape, dtype=np.int64)) * BITS[self.dtype] // 8

    def data(self):
        values = self.undo([part.numpy() for part in self.parts])
        return dtypes.to_type(values.reshape(-1, values.shape[-1] if values.ndim else 1), "F32", self.dtype)


class Export:
    """An export that is planned: `Export(model, type="auto")`, then `write(folder)`.

    `files` are the texts it will have by name, `tensors` its weights. "auto" keeps F32, F16 and BF16 and writes all
    else dequantized in F32, without loss. ModelError where a folder could not be made; `notes` say what it cannot hold.
    """

    def __init__(self, model, type="auto"):
        self.file, self.notes = GGUFFile(model), []
        metadata, self.type = self.file.metadata, type
        if type not in ("auto", *TYPES):
            raise ModelError(f"weights are exported as auto, {', '.join(TYPES)}, not as {type!r}")
        self.family = self._family(metadata)
        config = exported_config.config(metadata, self.file.tensors, self.family)
        self.config = Config(config, self.file.path)
        self.config.defaults = self.family.defaults
        self.config.tokens = SimpleNamespace(texts=metadata.get("tokenizer.ggml.tokens", ()))
        self.tensors = self._planned()
        self.files = {"config.json": config} | exported.files(metadata) | exported_config.card(metadata)
        self.files |= exported_config.pooling(metadata)

    def _family(self, metadata):
        """The family of this architecture whose table knows all tensors of the file."""
        found = [family for family in families_of(metadata.arch) if family.export is not None]
        names = {exported_config.stem(name) for name in self.file.tensors} - set(exported_config.MADE)
        for family in found:
            ours = {exported_config.stem(output) for rule in family.tensors.values() if rule is not None
                    for output, _ in (rules.To(rule) if isinstance(rule, str) else rule).outputs}
            if names <= ours:
                return family
        raise ModelError(f"{metadata.arch} files cannot be exported" + (" with these tensors" if found else ""),
                         path=self.file.path)

    def _planned(self):
        left, out = dict(self.file.tensors), []
        layers = max((int(n.split(".")[1]) for n in left if n.startswith("blk.")), default=-1) + 1
        exact_first = sorted(self.family.tensors.items(), key=lambda item: not item[0].endswith(rules.ENDS))
        for pattern, rule in exact_first:
            for layer in range(layers) if "#" in pattern else (None,):
                for end in ("", *rules.ENDS):
                    out += self._from_rule(pattern, rule, layer, end, left)
        left = [name for name in left if exported_config.stem(name) not in exported_config.MADE]
        if left:
            raise ModelError(f"nothing in a folder stands for the tensor {left[0]}", path=self.file.path,
                             tensor=left[0])
        order = list(self.file.tensors)
        return sorted(out, key=lambda o: (order.index(o.parts[0].name), o.name))

    def _from_rule(self, pattern, rule, layer, end, left):
        """The tensors that a rule of the table gives for one layer and one end of the names."""
        if rule is None:
            return []
        rule = rules.To(rule) if isinstance(rule, str) else rule
        start = "" if layer is None else f"blk.{layer}."
        names = [start + output + end for output, _ in rule.outputs]
        if not all(name in left for name in names):
            return []
        parts = [left.pop(name) for name in names]
        steps = [tuple(s.bound(self.config) for s in steps) for _, steps in rule.outputs]
        if isinstance(rule, rules.Split):
            cut = rule.cut.part(0).bound(self.config).arguments
            steps = [own[1:] for own in steps]  # the first one takes the part
            undo = lambda xs: rule.cut.join([_undone(x, s) for x, s in zip(xs, steps, strict=True)], *cut)  # noqa: E731
        else:
            undo = lambda xs: _undone(xs[0], steps[0])  # noqa: E731
        name = self._name(pattern, layer) + end
        if "*" not in pattern:
            return [self._out(name, parts, undo)]
        return [self._out(name.replace("*", str(i)), [Slice(parts[0], i)], undo) for i in range(parts[0].shape[0])]

    def _name(self, pattern, layer):
        outside = pattern.split(".")[0] in OUTSIDE
        return ("" if outside else self.family.root) + pattern.replace("#", str(layer))

    def _out(self, name, parts, undo):
        with np.errstate(all="ignore"):  # of numbers that nobody set
            shape = undo([np.empty(part.shape, np.float32) for part in parts]).shape
        kind = parts[0].type.name if self.type == "auto" else self.type
        return Out(name, shape, TYPES.get(kind, "F32"), parts, undo)

    def write(self, folder, force=False, max_shard_bytes=shards.DEFAULT, progress=None):
        """Write the folder, whole or not at all; returns its path. `progress(done, total)` counts bytes."""
        with shards.new_folder(folder, force) as temp:
            shards.write(temp, self.tensors, max_shard_bytes, progress)
            for name, value in self.files.items():
                _write_file(temp / name, value)
            self.notes += _lost(temp, self.file.metadata)
        return Path(folder)


class Slice:
    """One of the tensors that a GGUF tensor stacks."""

    def __init__(self, tensor, i):
        self.tensor, self.i = tensor, i
        self.name, self.type, self.shape = tensor.name, tensor.type, tensor.shape[1:]

    def numpy(self):
        return self.tensor.numpy(slice(self.i, self.i + 1))[0]


def _undone(values, steps):
    for one in reversed(steps):
        if one.backward is None:
            continue  # rows that were cut off are gone; what is left is what the model uses
        values = one.undo(values)
    return values


def _write_file(path, value):
    path.parent.mkdir(exist_ok=True)
    if isinstance(value, bytes):
        path.write_bytes(value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        path.write_text(text, "utf-8")


def _lost(folder, metadata):
    """What the folder could not say: keys that a conversion of it would not have, or would have otherwise."""
    try:
        back = Metadata.of(Conversion(folder, "F32", name=metadata.get("general.name"), check=False).metadata)
    except LlamaGGUFError as error:
        return [f"the folder cannot be converted back: {error}"]
    same = {"general.file_type", "general.quantization_version"}
    lost = [key for key in metadata if key not in same and _value(back, key) != _value(metadata, key)]
    return [f"the folder cannot hold {', '.join(lost)}"] if lost else []


def _value(metadata, key):
    value = metadata.get(key)
    return value.tolist() if hasattr(value, "tolist") else value


def export(model, folder, type="auto", *, force=False, max_shard_bytes=shards.DEFAULT, progress=None):
    """Export a GGUF file to a folder for transformers; returns the Export, whose `path` is the folder."""
    planned = Export(model, type)
    planned.path = planned.write(folder, force, max_shard_bytes, progress)
    return planned
