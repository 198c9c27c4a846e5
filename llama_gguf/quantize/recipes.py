"""Which type each tensor gets: the rules that go with filetypes.py, and the options that overrule them.

    recipe = Recipe("Q4_K_M", tensor_types=[("attn_v", "Q8_0")])
    for choice in recipe.choose(file): print(choice.name, choice.source, choice.target, choice.reason)

Architectures are told apart here, not in models/ alone: the rules are llama-quantize's, which name them, and a file can
be quantized whose architecture nothing here runs.
"""

import re
from dataclasses import dataclass, field, replace

from llama_gguf.errors import ModelError
from llama_gguf.gguf.types import TYPES
from llama_gguf.quantize import filetypes
from llama_gguf.quantize.filetypes import FILE_TYPES

LAYER = re.compile(r"blk\.(\d+)\.")
ROLES = (  # a part of the name, most special first: what the mixtures distinguish
    ("attn_qkv.weight", "attn_v"), ("attn_kv_b.weight", "attn_v"), ("attn_v.weight", "attn_v"),
    ("attn_k.weight", "attn_k"), ("attn_q.weight", "attn_q"), ("attn_output.weight", "attn_output"),
    ("ffn_up", "ffn_up"), ("ffn_gate", "ffn_gate"), ("ffn_down", "ffn_down"),
)
TABLES = ("token_embd.weight", "per_layer_token_embd.weight")
NEEDED_IN = {"Q2_K": "Q2_K_S"}
"""Types that are garbage without an importance matrix in one file type only."""
NEEDED = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS")
"""And everywhere: those that llama-quantize refuses without. rows.NEEDS_IMPORTANCE are fewer: rows of IQ2_S and
IQ3_XXS, a lone tensor's or a table's, can be written without."""


@dataclass(frozen=True)
class Choice:
    """One tensor's fate: `source` and `target` are names of types; `reason` says why, where it is not the recipe's."""

    name: str
    shape: tuple
    source: str
    target: str
    reason: str = ""
    needs_importance: bool = False

    @property
    def changes(self):
        return self.source != self.target

    @property
    def rounds_again(self):
        """Are its values rounded for a second time? F32, F16 and BF16 hold them as they are."""
        return self.changes and TYPES[self.source].is_quantized and TYPES[self.target].is_quantized


@dataclass(frozen=True)
class Traits:
    """What the rules ask of a model; `gqa`: query heads for one key head (0: none in the first layer)."""

    arch: str = ""
    layers: int = 0
    gqa: int = 0
    experts: int = 0

    @classmethod
    def of(cls, metadata):
        """Of a file; keys that are missing count as 0, for a file need not be a whole model."""
        if "general.architecture" not in metadata:
            return cls()
        heads, kv_heads = (_first(metadata, key) for key in (".attention.head_count", ".attention.head_count_kv"))
        kv_heads = heads if kv_heads is None else kv_heads
        return cls(metadata.arch, _first(metadata, ".block_count") or 0, heads // kv_heads if kv_heads else 0,
                   _first(metadata, ".expert_count") or 0)

    @property
    def is_70b(self):
        """llama.cpp's own guess: by architecture and layers, but 65B has a key head for each query head."""
        return filetypes.SEVENTY_B.get(self.arch) == self.layers and (self.arch, self.gqa) != ("llama", 1)


def _first(metadata, key):
    """An integer, or the first of one for each layer; None where there is none."""
    value = metadata.get(metadata.full(key))
    value = value[0] if hasattr(value, "__len__") and len(value) else value
    return value if isinstance(value, int) else None


@dataclass(frozen=True)
class Recipe:
    """A file type and what overrules it.

    type: a name of FILE_TYPES, an alias, its number, or COPY. pure: the base type for all. output_type: of
    output.weight, and of a table that serves as output (where token_embedding_type, that of tables, does not say
    otherwise). tensor_types: [(regular expression, type)], the first that is found in a name wins. leave_output: keep
    output.weight as it is. ModelError names what is unknown.
    """

    type: str
    pure: bool = False
    output_type: str | None = None
    token_embedding_type: str | None = None
    tensor_types: tuple = ()
    leave_output: bool = False
    patterns: list = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self):
        put = object.__setattr__  # the record is frozen for everybody else
        put(self, "type", known_file_type(self.type))
        for name in ("output_type", "token_embedding_type"):
            if getattr(self, name) is not None:
                put(self, name, known_type(getattr(self, name)))
        put(self, "tensor_types", tuple((str(p), known_type(t)) for p, t in self.tensor_types))
        put(self, "patterns", [(compiled(p), t) for p, t in self.tensor_types])

    @property
    def file_type(self):
        return FILE_TYPES.get(self.type)

    def choose(self, tensors, traits, has_imatrix=False):
        """A Choice for each of `tensors` (name, shape in NumPy order, type name), in llama.cpp's order."""
        tensors = sorted(tensors, key=lambda t: in_order(t[0]))
        tied = not any(name == "output.weight" for name, *_ in tensors)
        values = sum(role_of(name) == "attn_v" for name, *_ in tensors)
        return Chooser(self, traits, tied, has_imatrix, values).choices(tensors)


class Chooser:
    """The state of one walk over the tensors: how many of a role have come by."""

    def __init__(self, recipe, traits, tied, has_imatrix, values):
        self.recipe, self.traits, self.tied, self.has_imatrix = recipe, traits, tied, has_imatrix
        self.counts = {"attn_v": 0, "ffn_down": 0, "ffn_gate": 0, "ffn_up": 0}
        self.totals = {"attn_v": values}
        self.file_type = recipe.file_type
        if traits.arch in filetypes.FAMILY_RULES and self.file_type and not self.file_type.low:
            rules = filetypes.FAMILY_RULES[traits.arch]
            own = self.file_type.roles | rules.get("*", {}) | rules.get(recipe.type, {})
            self.file_type = replace(self.file_type, roles=own)

    def choices(self, tensors):
        return [self.choice(*tensor) for tensor in tensors]

    def choice(self, name, shape, source):
        if self.recipe.type == filetypes.COPY or not self.quantizable(name, shape):
            return Choice(name, shape, source, source)
        target, reason = self.wanted(name, shape)
        fitting = fallback(target, shape[-1])
        if fitting != target:
            odd = f"rows of {shape[-1]} are not whole blocks of {TYPES[target].block} for {target}"
            target, reason = fitting, f"{reason}; {odd}" if reason else odd
        return Choice(name, shape, source, target, reason, self.needs_importance(name, target))

    def quantizable(self, name, shape):
        """Matrices whose name ends in "weight", but for those that the tables of names except."""
        kept = (*filetypes.KEPT, *filetypes.FAMILY_KEPT.get(self.traits.arch, ()))
        if dimensions(shape) < 2 or not name.endswith("weight") or any(part in name for part in kept):
            return False
        return name not in filetypes.KEPT_NAMES and not (self.recipe.leave_output and name == "output.weight")

    def wanted(self, name, shape):
        """(type, reason) before the width is looked at."""
        recipe, named = self.recipe, self.named(name)
        if recipe.token_embedding_type and name in TABLES and not (named and name != "token_embd.weight"):
            return recipe.token_embedding_type, "asked for as token embedding"
        if recipe.output_type and name == "output.weight":
            return recipe.output_type, "asked for as output"
        if named:
            return named[1], f"asked for by {named[0].pattern}"
        base = self.file_type.base
        if recipe.pure or not TYPES[base].is_quantized:
            return base, ""
        if any(part in name for part in filetypes.FAMILY_FLOORS.get(self.traits.arch, ())):
            return "Q8_0", f"{self.traits.arch} keeps it at 8 bits"
        return self.mixed(name, shape)

    def named(self, name):
        return next(((p, t) for p, t in self.recipe.patterns if p.search(name)), None)

    def mixed(self, name, shape):
        """What the mixture gives."""
        kind = self.file_type
        if name == "output.weight" or (self.tied and name in TABLES):
            return self.head(shape), "" if name == "output.weight" else "serves as output too"
        if kind.name == "MXFP4_MOE":
            expert = self.traits.arch not in filetypes.EXPERTS_ONLY or str(role_of(name)).startswith("ffn")
            return ("MXFP4" if dimensions(shape) > 2 and expert else "Q8_0"), ""
        if name in TABLES:
            return kind.table or kind.base, ""
        return self.by_role(name), ""

    def head(self, shape):
        if self.recipe.output_type:
            return self.recipe.output_type
        kind = self.file_type
        odd = kind.name != "MXFP4_MOE" and shape[-1] % TYPES[kind.base].block
        return "Q8_0" if odd or self.traits.arch in filetypes.EIGHT_BIT_HEADS else kind.head

    def by_role(self, name):
        role, kind = role_of(name), self.file_type
        at, n = self.place(role, name)
        met = self.conditions(at, n)
        target = next((t for needs, t in kind.choices(role) if all(met[need] for need in needs)), kind.base)
        if role == "attn_v" and self.traits.is_70b and not kind.low and target in ("Q3_K", "Q4_K"):
            return "Q5_K"
        return target

    def place(self, role, name):
        """(index, count) of this tensor among those of its role. Mixtures of experts have several ffn_down in a layer:
        there the index is the layer's, but in the lowest mixtures, which count on.
        """
        at = self.counts.get(role, 0)
        n = self.totals.get(role, self.traits.layers)
        if role in self.counts:
            self.counts[role] += 1
        layer = LAYER.match(name)
        if self.traits.experts > 1 and role != "attn_v" and not self.file_type.low and layer:
            at = int(layer[1])
        return at, n

    def conditions(self, at, n):
        """What the words of filetypes.py mean for item `at` of `n`."""
        t = self.traits
        return {
            "eighth": at < n // 8,
            "sixteenth": at < n // 16,
            "middle": n // 8 <= at < 7 * n // 8,
            "more": at < n // 8 or at >= 7 * n // 8 or (at - n // 8) % 3 == 2,
            "first2": at < 2,
            "first4": at < 4,
            "gqa4": t.gqa >= 4,
            "experts4": t.experts >= 4,
            "experts8": t.experts == 8,
            "no_experts8": t.experts != 8,
            "imatrix": self.has_imatrix,
            "no_imatrix": not self.has_imatrix,
        }

    def needs_importance(self, name, target):
        """Is the tensor garbage without an importance matrix? A table that is only looked up is not: each of its
        values reaches the residual stream as it is, so all columns weigh the same.
        """
        looked_up = name in TABLES and not (self.tied and name == "token_embd.weight")
        return not looked_up and (target in NEEDED or NEEDED_IN.get(target) == self.recipe.type)


def known_file_type(name):
    """The name of a file type, of an alias, or of its number as text."""
    wanted = str(name).upper()
    wanted = next((t.name for t in FILE_TYPES.values() if str(t.id) == wanted), filetypes.ALIASES.get(wanted, wanted))
    if wanted not in FILE_TYPES and wanted != filetypes.COPY:
        raise ModelError(f"there is no file type {name!r}; there are {', '.join([*FILE_TYPES, filetypes.COPY])}")
    return wanted


def known_type(name):
    """The name of a tensor type that a matrix can have."""
    wanted = str(name).upper()
    if wanted not in TYPES or "matmul" not in TYPES[wanted].roles:
        good = [t.name for t in TYPES.values() if "matmul" in t.roles]
        raise ModelError(f"no matrix can be of type {name!r}; there are {', '.join(good)}")
    return wanted


def compiled(pattern):
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ModelError(f"{pattern!r} is not a regular expression: {error}") from None


def role_of(name):
    return next((role for part, role in ROLES if part in name), None)


def in_order(name):
    """Sorting key: what stands outside of layers first, then by layer and name."""
    layer = LAYER.match(name)
    return int(layer[1]) if layer else -1, name


def dimensions(shape):
    """How many there are but for leading ones, as GGUF counts them."""
    sizes = list(shape)
    while len(sizes) > 1 and sizes[0] == 1:
        del sizes[0]
    return len(sizes)


def fallback(target, cols):
    """`target`, or the nearest type whose blocks divide `cols`."""
    if cols % TYPES[target].block == 0:
        return target
    small = filetypes.FALLBACKS.get(target, target)
    return small if cols % TYPES[small].block == 0 else "F16"
