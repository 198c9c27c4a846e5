"""The key/value section: a mapping with getters that refuse what a model cannot mean."""

import math
from collections.abc import Mapping

from llama_gguf.errors import ModelError
from llama_gguf.gguf.values import FLOATS, INTS, LazyArray, Typed

REQUIRED = object()
"""Default of the getters: a missing key is an error."""

WORDS = {"str": "a string", "bool": "true or false", "int": "an integer", "float": "a float"}


class Metadata(Mapping):
    """Keys to int, float, bool, str or LazyArray.

    `metadata[key]` gives whatever the file says. The getters (`int`, `float`, `str`, `bool`,
    `array`, `ints`) give what the caller needs or raise ModelError with key, value and domain.
    In them a key that starts with "." stands for the architecture's: ".block_count" reads
    "llama.block_count".
    """

    def __init__(self, entries, buf, path=None):
        """`entries`: key -> (kind, value); a `slice` of `buf` is a string not decoded yet."""
        self._entries, self._buf, self.path = entries, buf, path
        self.asked = set()  # keys that getters, or anybody else, have looked for by their full names

    def anew(self):
        """The same metadata, of which nothing was asked yet."""
        return Metadata(self._entries, self._buf, self.path)

    @classmethod
    def of(cls, values, path=None):
        """Metadata from a dict of Python values or Typed ones, as if written and read back."""
        from llama_gguf.gguf.header import parse_metadata
        from llama_gguf.gguf.writer import encode_metadata

        return parse_metadata(encode_metadata(values), len(values), path)

    def __getitem__(self, key):
        kind, value = self._entries[key]
        if type(value) is slice:
            value = self._buf[value].decode("utf-8", "surrogateescape")
            self._entries[key] = kind, value
        return value

    def __iter__(self):
        return iter(self._entries)

    def __len__(self):
        return len(self._entries)

    def __contains__(self, key):
        return key in self._entries

    def __repr__(self):
        return f"<Metadata of {len(self)} keys>"

    def _repr_html_(self):
        from llama_gguf.gguf.reprs import metadata_html

        return metadata_html(self)

    def _ipython_key_completions_(self):
        return list(self)

    def kind(self, key):
        """What the file stores under `key`: "u32", "str", "array" ... (see values.KINDS)."""
        return self._entries[key][0]

    def typed(self):
        """All of it with its kinds, ready for GGUFWriter: key -> Typed."""
        pairs = ((key, self[key], self.kind(key)) for key in self)
        return {k: Typed(v, v.kind if kind == "array" else kind) for k, v, kind in pairs}

    @property
    def arch(self):
        """`general.architecture`, which prefixes the keys of hyperparameters."""
        name = self.str("general.architecture")
        if not name:
            raise self.error("general.architecture", "is empty")
        return name

    def full(self, key):
        """`key` with the architecture put before a leading dot; it counts as asked for."""
        key = self.arch + key if key.startswith(".") else key
        self.asked.add(key)
        return key

    def has(self, key):
        return self.full(key) in self._entries

    def error(self, key, message):
        """A ModelError that names file and key, to raise."""
        key = self.full(key)
        shown = key if key.isprintable() and len(key) <= 120 else repr(key[:120])
        return ModelError(f"metadata {shown} {message}", path=self.path, key=key)

    def int(self, key, default=REQUIRED, lo=None, hi=None):
        """An integer of any width, lo <= value <= hi."""
        if not self.has(key):
            return self._default(key, default)
        value = self._get(key, INTS, "int")
        self._check_range(key, value, lo, hi)
        return value

    def float(self, key, default=REQUIRED, lo=None, hi=None, above=None, below=None):
        """A finite float, lo <= value <= hi and above < value < below."""
        if not self.has(key):
            return self._default(key, default)
        value = self._get(key, FLOATS, "float")
        if not math.isfinite(value):
            raise self.error(key, f"is {value}; it must be finite")
        self._check_range(key, value, lo, hi, above, below)
        return value

    def str(self, key, default=REQUIRED, choices=None):
        """A string, one of `choices` where given."""
        if not self.has(key):
            return self._default(key, default)
        value = self._get(key, ("str",), "str")
        if choices is not None and value not in choices:
            raise self.error(key, f"is {value[:80]!r}; known are {', '.join(sorted(choices))}")
        return value

    def bool(self, key, default=REQUIRED):
        return self._get(key, ("bool",), "bool") if self.has(key) else self._default(key, default)

    def array(self, key, kind, default=REQUIRED):
        """A LazyArray; `kind` is that of its elements: "str", "f32", ... or "int", "float"."""
        if not self.has(key):
            return self._default(key, default)
        value, kinds = self[self.full(key)], {"int": INTS, "float": FLOATS}.get(kind, (kind,))
        if not isinstance(value, LazyArray) or value.kind not in kinds:
            raise self.error(key, f"must be an array of {kind}, but it is {self._shown(key)}")
        return value

    def ints(self, key, n, default=REQUIRED, lo=None, hi=None):
        """`n` integers, one per layer: an array of that length, or one number for all."""
        if not self.has(key):
            value = self._default(key, default)
            return [value] * n if isinstance(value, int) else value
        if self.kind(self.full(key)) != "array":
            return [self.int(key, lo=lo, hi=hi)] * n
        values = self.array(key, "int")
        if len(values) != n:
            raise self.error(key, f"has {len(values)} elements, but there are {n} layers")
        for value in values:
            self._check_range(key, value, lo, hi)
        return list(values)

    def floats(self, key, n):
        """`n` finite floats, one per layer: an array of that length, or one number for all."""
        if not self.has(key) or self.kind(self.full(key)) != "array":
            return [self.float(key)] * n
        values = list(self.array(key, "float"))
        if len(values) != n or not all(map(math.isfinite, values)):
            raise self.error(key, f"must hold {n} finite numbers, one for each layer")
        return values

    def _get(self, key, kinds, wanted):
        if self.kind(self.full(key)) not in kinds:
            raise self.error(key, f"must be {WORDS[wanted]}, but it is {self._shown(key)}")
        return self[self.full(key)]

    def _default(self, key, default):
        if default is REQUIRED:
            raise self.error(key, "is missing")
        return default

    def _check_range(self, key, value, lo=None, hi=None, above=None, below=None):
        rules = (
            (lo, lambda: value >= lo, "at least"),
            (hi, lambda: value <= hi, "at most"),
            (above, lambda: value > above, "above"),
            (below, lambda: value < below, "below"),
        )
        rules = [rule for rule in rules if rule[0] is not None]
        if not all(holds() for _, holds, _ in rules):
            domain = " and ".join(f"{word} {bound}" for bound, _, word in rules)
            raise self.error(key, f"is {value}; it must be {domain}")

    def _shown(self, key):
        """The value found, for an error message."""
        key = self.full(key)
        value = self[key]
        if isinstance(value, LazyArray):
            return f"an array of {len(value)} {value.kind}"
        shown = repr(value[:40]) if isinstance(value, str) else value
        return f"the {self.kind(key)} {shown}"
