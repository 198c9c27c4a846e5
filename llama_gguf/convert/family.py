"""What a family's file states, and the registry of all of them."""

import importlib
import pkgutil
from dataclasses import dataclass, field
from functools import cache

from ..errors import ModelError
from . import families


@dataclass(frozen=True)
class Family:
    """How one kind of folder becomes a GGUF file of architecture `arch`; see rules.py and keys.py for the tables.

    `classes`: names in `architectures` of config.json. `defaults`: what transformers takes where config.json says
    nothing. `vocabulary`: kinds of vocabulary to look for, the first that the folder has is taken. `tokens`: keys of
    the vocabulary where its own files say nothing, `tokens_anyway`: whatever they say. `extra`: a function of the
    Config that makes tensors which no folder has, {name: float32 array}. `ignored`: starts of names of no use.
    `from_tensors`: a function of the sources and the Config that reads metadata out of tensors. `renamed`: a function
    of a tensor's name and the Config that gives the name which the table knows, None for what is left out. `remark`: a
    function of the Config that tells what is lost, or None.
    `model_type`, `root` (what names start with) and `export` are for the way back: more keys of config.json, as values
    or as functions of what the metadata state, {".key": value}; None where there is no way back.
    """

    arch: str
    classes: str
    tensors: dict
    keys: dict
    vocabulary: str = "bpe"
    defaults: dict = field(default_factory=dict)
    tokens: dict = field(default_factory=dict)
    tokens_anyway: dict = field(default_factory=dict)
    extra: object = None
    ignored: tuple = ()
    from_tensors: object = None
    renamed: object = None
    remark: object = None
    model_type: str = ""
    root: str = "model."
    export: dict = field(default_factory=dict)


def _modules():
    return [importlib.import_module(f"{families.__name__}.{item.name}") for item in
            pkgutil.iter_modules(families.__path__)]


@cache
def registry():
    """Class name of transformers to Family, or to a function of the Config that gives one."""
    found = {}
    for module in _modules():
        for family in getattr(module, "FAMILIES", ()):
            found |= dict.fromkeys(family.classes.split(), family)
        found |= getattr(module, "CHOICES", {})
    return found


def _by_type(config):
    """The Family of a folder whose config.json names no class, by its model_type."""
    kind = config.text.get("model_type")
    for module in _modules():
        for family in getattr(module, "FAMILIES", ()):
            if kind and family.model_type == kind:
                return family
    raise ModelError("config.json names neither a class under `architectures` nor a model_type that is known",
                     path=config.path)


def families_of(arch):
    """The Families whose files are of this architecture, but for those that config.json chooses."""
    return [family for module in _modules() for family in getattr(module, "FAMILIES", ()) if family.arch == arch]


def choose(config):
    """The Family of a folder; ModelError names the class that nothing is known of."""
    known = registry()
    for name in config.classes:
        if name in known:
            found = known[name]
            family = found if isinstance(found, Family) else found(config)
            return family
    if not config.classes:
        return _by_type(config)
    raise ModelError(f"{config.classes[0]} is not a model that llama-gguf converts; docs/converting.md lists them",
                     path=config.path)
