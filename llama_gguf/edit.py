"""Changing what a GGUF file says of itself: keys set, renamed and removed, chat templates added.

The file is written anew, whole or not at all; tensors are copied byte for byte. A change that would make a file
something else than it is, or that stops a model from opening, is refused unless `broken` files are wanted; `force`
replaces a file that is there.
"""

import json
import math
import os
import stat
import warnings
from contextlib import suppress

from .errors import LlamaGGUFError, ModelError
from .gguf import GGUFFile, GGUFWriter, Metadata, Typed, replacing
from .gguf.copying import Copier
from .gguf.shards import parse_name
from .gguf.values import CODES, FLOATS, INTS, SIZES, LazyArray
from .gguf.writer import infer

TEMPLATE = "tokenizer.chat_template"
STRUCTURE = ("general.architecture", "general.quantization_version", "split.")
"""Beginnings of keys that say how the rest is to be read."""
VOCABULARY = tuple(f"tokenizer.ggml.{key}" for key in ("model", "pre", "tokens", "token_type", "scores", "merges"))
ADJUSTABLE = (".context_length", ".rope.freq_base", ".rope.scaling.", ".expert_used_count", ".pooling_type")
"""Beginnings of the architecture's keys that a model may be run with other values of; the others describe tensors."""


def set_value(path, key, value, *, kind=None, out=None, force=False, broken=False, progress=None):
    """Give a key a value; (what it was or None, what it is) as Typed.

    `value`: a Python value, or text as people type it: "8192", "true", "[1, 2]". It takes the kind that the key has;
    `kind` ("u32", "str", "i32[]" for an array, ...) is for new keys, else it is inferred. `out`: another file to write;
    None: `path` itself. ModelError says what a change would break.
    """
    with Edit(path) as edit:
        old = edit.keys.get(key)
        edit.guard_key(key, broken)
        edit.keys[key] = typed(key, value, kind, old, broken)
        edit.write(out, force, broken, progress)
        return old, edit.keys[key]


def rename(path, old, new, *, tensor=False, out=None, force=False, broken=False, progress=None):
    """Give a key, or a tensor, another name, in its place."""
    with Edit(path) as edit:
        names = edit.tensors if tensor else edit.keys
        edit.need([old], tensor)
        if new in names:
            raise edit.error(f"there is a {'tensor' if tensor else 'key'} {new} already")
        for name in () if tensor else (old, new):
            edit.guard_key(name, broken)
        renamed = {new if name == old else name: value for name, value in names.items()}
        names.clear()
        names.update(renamed)
        edit.write(out, force, broken, progress)


def remove(path, names, *, tensor=False, out=None, force=False, broken=False, progress=None):
    """Take keys, or tensors, out of a file. All that are not there are named at once."""
    with Edit(path) as edit:
        edit.need(names, tensor)
        for name in names:
            if not tensor:
                edit.guard_key(name, broken)
            (edit.tensors if tensor else edit.keys).pop(name, None)
        edit.write(out, force, broken, progress)


def add_template(path, text, name=None, *, out=None, force=False, broken=False, progress=None):
    """Give a file a chat template, the one that it is used with or one called `name`. It must compile."""
    with Edit(path) as edit:
        key = TEMPLATE if name is None else f"{TEMPLATE}.{name}"
        edit.keys[key] = Typed(text, "str")
        names = [k.removeprefix(f"{TEMPLATE}.") for k in edit.keys if k.startswith(f"{TEMPLATE}.")]
        if names:
            edit.keys["tokenizer.chat_templates"] = Typed(names, "str")
        edit.write(out, force, broken, progress)


class Edit:
    """A file that is being changed: `keys` and `tensors` by name, in their order. One shard is edited by itself."""

    def __init__(self, path):
        self.path = os.fspath(path)
        self.file = GGUFFile(path, alone=True)
        self.keys, self.tensors = self.file.metadata.typed(), dict(self.file.tensors)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()

    def error(self, message, key=None):
        return ModelError(message, path=self.path, key=key)

    def need(self, names, tensor):
        missing = [name for name in names if name not in (self.tensors if tensor else self.keys)]
        if missing:
            kind = "tensor" if tensor else "key"
            raise self.error(f"there is no {kind} {', '.join(missing)}")

    def guard_key(self, key, broken):
        """Refuse the keys that say what the other bytes of the file mean."""
        arch = self.file.metadata.get("general.architecture")
        own = key.removeprefix(arch) if isinstance(arch, str) and key.startswith(f"{arch}.") else ADJUSTABLE[0]
        if broken or not (key.startswith(STRUCTURE) or key in VOCABULARY or not own.startswith(ADJUSTABLE)):
            return
        told = f"{key} says how the file is to be read; changing it breaks the file (--allow-broken does it)"
        raise self.error(told, key)

    def write(self, out, force, broken, progress):
        """Write the file, if it is as good a model as before."""
        if not broken and (new := self.faults(self.keys, self.tensors) - self.faults(None, self.file.tensors)):
            raise self.error(f"after this change: {'; '.join(sorted(new))} (--allow-broken writes it all the same)")
        target = self.target(out)
        copier = Copier(self.tensors.values(), progress)
        rows = [(name, t.type.name, t.shape, copier.data(t)) for name, t in self.tensors.items()]
        try:
            writer = GGUFWriter(target, self.keys, rows)
        except ValueError as error:
            raise self.error(str(error)) from None
        inputs = [] if out is None else [self.path]
        with replacing(target, writer.size, force or out is None, inputs) as file:
            if out is None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(self.path).st_mode))
            writer.write_to(file)

    def target(self, out):
        """Where to write. A link is not replaced by a file: it may lead into the Hub's cache, which must not change."""
        if out is None and os.path.islink(self.path):
            raise self.error(f"this is a link to {os.path.realpath(self.path)}; write to another file with -o")
        return self.path if out is None else os.fspath(out)

    def faults(self, keys, tensors):
        """What is wrong with the model, as a set of sentences; `keys` None: with that of the file as it is."""
        metadata = self.file.metadata if keys is None else Metadata.of(keys, self.path)
        whole = parse_name(self.path) is None or metadata.get("split.count", 1) <= 1
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            errors = [_fault(check, metadata, tensors) for check in (_structure, _texts)[0 if whole else 1 :]]
        return {str(found) for found in (*errors, *(w.message for w in told)) if found}


def _fault(check, metadata, tensors):
    try:
        return check(metadata, tensors)
    except LlamaGGUFError as error:
        return error


def _structure(metadata, tensors):
    from .forward import graph_of

    graph_of(metadata, tensors)


def _texts(metadata, tensors):
    from .vocab.chat import ChatTemplate
    from .vocab.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_metadata(metadata)
    for name in (None, *ChatTemplate.from_metadata(metadata, tokenizer).names):
        ChatTemplate.from_metadata(metadata, tokenizer, name).check()


def typed(key, value, kind=None, old=None, broken=False):
    """A value as Typed, of the kind that the key has (`old`) or is asked to have; ModelError where it is none."""
    had = None if old is None else old.kind + "[]" * _is_array(old.value)
    wanted = kind or had
    if had and wanted != had and not broken:
        told = f"{key} is a {had}; --type {wanted} would make it something else (--allow-broken does it)"
        raise ModelError(told, key=key)
    if wanted is None:
        value = _guessed(value)
        wanted = _inferred(key, value) + "[]" * _is_array(value)
    element, array = wanted.removesuffix("[]"), wanted.endswith("[]")
    if element not in CODES and element != "str":
        known = f"{', '.join(CODES)}, str, and arrays as u32[]"
        raise ModelError(f"there is no type {wanted!r}; there are {known}", key=key)
    if not array:
        return Typed(_scalar(key, value, element), element)
    values = _guessed(value) if isinstance(value, str) else value
    if not isinstance(values, list | tuple | LazyArray):
        raise ModelError(f"{key} is an array of {element}; write it as [1, 2, 3]", key=key)
    return Typed([_scalar(key, v, element) for v in values], element)


def _inferred(key, value):
    try:
        return infer(value)
    except ValueError as error:
        raise ModelError(f"{key}: {error}", key=key) from None


def _is_array(value):
    return isinstance(value, list | tuple | LazyArray)


def _guessed(value):
    """What a text stands for: a number, true, false or a list, as JSON has them; else the text."""
    if isinstance(value, str):
        with suppress(ValueError):
            found = json.loads(value)
            return found if isinstance(found, int | float | list) else value
    return value


def _scalar(key, value, kind):
    """A value of a kind, or ModelError."""
    if kind == "str" and isinstance(value, str):
        return value
    found = _guessed(value)
    if kind == "bool" and (isinstance(found, bool) or found in (0, 1)):
        return bool(found)
    if kind in INTS and isinstance(found, int) and not isinstance(found, bool):
        bits = 8 * SIZES[kind]
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)
        if low <= found <= high:
            return found
        raise ModelError(f"{key} is a {kind}: {found} is not in {low} ... {high}", key=key)
    if kind in FLOATS and isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found):
        if abs(found) <= (3.4028234663852886e38 if kind == "f32" else math.inf):
            return float(found)
        raise ModelError(f"{key} is a {kind}: {found} is too large", key=key)
    raise ModelError(f"{key} is a {kind}, and {value!r} is none", key=key)
