"""A size is given, types are sought: for each matrix the type that spends bytes where they spare most damage.

    recipe = recipe_for_size("model-f16.gguf", n_bytes=80_000_000, imatrix=imatrix).recipe

The damage of a choice is the noise that it adds to a product, relative to the product (error of the weights under
importance, measured on a sample), times how much the model minds: the KL divergence that noise in this matrix alone was
measured to cause, or what is usual for its role. Under a budget, the best choices lie on the lower convex hull of each
matrix's (bytes, damage); its steps are taken by falling gain for a byte (Everett 1963; Shoham and Gersho 1988).
"""

import itertools
import re
import statistics
from collections import Counter
from dataclasses import dataclass

from llama_gguf.errors import Cancelled, ModelError
from llama_gguf.gguf import GGUFFile, GGUFWriter
from llama_gguf.gguf.types import TYPES
from llama_gguf.quantize.filetypes import FILE_TYPES
from llama_gguf.quantize.plan import Plan, sampled_error
from llama_gguf.quantize.recipes import NEEDED, Recipe, role_of

REFERENCE = "Q4_0"
"""The noise whose KL divergence is measured: of blocks of 32, which divide almost every width."""
LADDER = (
    "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "Q2_K", "IQ3_XXS", "IQ3_S", "Q3_K", "IQ4_XS", "Q4_K", "Q5_K",
    "Q6_K", "Q8_0", "F16",
)
"""Types that are tried."""
LADDER_BLOCK = 256
NARROW = ("IQ4_NL", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16")
"""And for rows that are no whole blocks of 256."""
HEAD = 300.0
"""How much more than a feed-forward matrix the output matrix matters: its noise goes straight into the logits."""
ROLES = {"attn_q": 0.3, "attn_k": 0.6, "attn_output": 0.6}
"""And these. Rounded medians of the KL divergence for a noise, measured on SmolLM2 135M."""
EDGES = 4.0
"""Matrices of the first two blocks and of the last one matter more, too."""
SAMPLE = 1 << 14
"""Values of a matrix that each type is tried on: the error is then known to about a hundredth."""


@dataclass(frozen=True)
class Option:
    """One type for a matrix: bytes it takes, damage it does."""

    type: str
    n_bytes: int
    damage: float


@dataclass(frozen=True)
class Target:
    """`recipe` with a type for each matrix, the `options` it chose from, and bytes of the file and predicted damage."""

    recipe: Recipe
    options: dict
    n_bytes: int
    damage: float

    def as_tensor_types(self):
        """The text of a --tensor-type-file, which llama-quantize reads too."""
        return "".join(f"{pattern}={kind.lower()}\n" for pattern, kind in self.recipe.tensor_types)


def recipe_for_size(
    source, n_bytes=None, bits_per_weight=None, imatrix=None, *, types=None, sensitivity=None, requantize=False,
    progress=None, cancel=None,
):
    """The Target for a file of `n_bytes` at most, or with so many bits for each weight.

    types: names to choose from; None: LADDER or NARROW, by the width. sensitivity: {tensor: KL divergence that
    REFERENCE causes in it} (see `measured_sensitivity`). progress(done, total, name) counts tensors. ModelError where
    even the smallest types are too large.
    """
    if (n_bytes is None) == (bits_per_weight is None):
        raise ValueError("give n_bytes or bits_per_weight, one of them")
    file = source if isinstance(source, GGUFFile) else GGUFFile(source)
    plan = Plan(file, Recipe("F16"), imatrix, requantize=requantize)
    plan.check()
    if not requantize and (rough := next((t for t in plan.changing if TYPES[t.source].is_quantized), None)):
        told = f"tensor {rough.name} is {rough.source} already; --allow-requantize (requantize=True) quantizes it again"
        raise ModelError(told, path=str(file.path), tensor=rough.name)
    options, kept = options_of(plan, types, sensitivity or {}, progress, cancel)
    n_weights = sum(t.n_elements for t in file.tensors.values())
    around = header_bytes(file) if n_bytes is not None else 0
    budget = n_bytes if n_bytes is not None else int(bits_per_weight * n_weights / 8)
    chosen = within(options, budget - kept - around)
    if chosen is None:
        least = kept + around + sum(min(o.n_bytes for o in some) for some in options.values())
        raise ModelError(too_few(budget, least, n_weights, imatrix), path=str(file.path))
    total = kept + around + sum(o.n_bytes for o in chosen.values())
    pairs = [(f"^{re.escape(name)}$", o.type) for name, o in chosen.items()]
    return Target(Recipe(base_of(chosen), tensor_types=pairs), options, total, sum(o.damage for o in chosen.values()))


def too_few(budget, least, n_weights, imatrix):
    """In bytes and in bits, for either may have been asked for."""
    wanted, possible = (f"{n:,} bytes ({8 * n / n_weights:.2f} bits per weight)" for n in (budget, least))
    more = "" if imatrix else "; with an importance matrix there are smaller ones"
    return f"{wanted} are too few: the smallest types that fit the widths take {possible}{more}"


def options_of(plan, types, sensitivity, progress=None, cancel=None):
    """({name: [Option, ...]} of each matrix, bytes of all other tensors)."""
    options, kept, file = {}, 0, plan.file
    unmeasured = typical(plan, sensitivity)
    for i, t in enumerate(plan.tensors):
        tensor = file.tensors[t.name]
        if cancel and cancel():
            raise Cancelled("choosing types was cancelled")
        if t.changes or t.source == "F16":  # the plan is one for F16: what it leaves alone is no matrix of a product
            options[t.name] = list(options_for(plan, t, tensor, types, sensitivity.get(t.name), unmeasured))
        else:
            kept += padded(t.bytes_before, file.alignment)
        if progress:
            progress(i + 1, len(plan.tensors), t.name)
    return options, kept


def typical(plan, sensitivity):
    """KL divergence for what is usual: the median of those measured, so that others stand beside them; else 1."""
    measured = [(t, scale_of(plan, t, sensitivity[t.name])) for t in plan.tensors if t.name in sensitivity]
    scales = [scale / usual(plan, t) for t, scale in measured if scale is not None]
    return statistics.median(scales) if scales else 1.0


def scale_of(plan, t, sensitivity):
    """KL divergence for each noise of REFERENCE in a tensor; None where it was not measured, or that type not fits."""
    tensor = plan.file.tensors[t.name]
    if sensitivity is None or tensor.shape[-1] % TYPES[REFERENCE].block:
        return None
    return sensitivity / max(noise(tensor, REFERENCE, plan.importance(t)), 1e-12)


def options_for(plan, t, tensor, types, sensitivity, unmeasured=1.0):
    importance, scale = plan.importance(t), scale_of(plan, t, sensitivity)
    scale = unmeasured * usual(plan, t) if scale is None else scale
    rows = tensor.n_elements // tensor.shape[-1]
    types = types or (NARROW if tensor.shape[-1] % LADDER_BLOCK else LADDER)
    for name in dict.fromkeys([*types, t.source]):
        kind = TYPES[name]
        if tensor.shape[-1] % kind.block or (importance is None and name in NEEDED and name != t.source):
            continue
        size = padded(rows * kind.row_bytes(tensor.shape[-1]), plan.file.alignment)
        yield Option(name, size, 0.0 if name == t.source else scale * noise(tensor, name, importance))


def usual(plan, t):
    """How much models mind noise in such a matrix, 1 for a feed-forward one in the middle."""
    if t.name == "output.weight" or (t.name == "token_embd.weight" and "output.weight" not in plan.file.tensors):
        return HEAD
    edge = t.layer is not None and (t.layer < 2 or t.layer == plan.traits.layers - 1)
    return ROLES.get(role_of(t.name), 1.0) * (EDGES if edge else 1.0)


def noise(tensor, type, importance):
    """Mean square error of a product with random inputs of these strengths, over its mean square."""
    squared, total = sampled_error(tensor, type, importance, SAMPLE)
    return squared / total if total else 0.0


def within(options, budget):
    """{name: Option} of the least damage in `budget` bytes, or None if there is none."""
    hulls = {name: hull(some) for name, some in options.items()}
    chosen = {name: steps[0] for name, steps in hulls.items()}
    left = budget - sum(o.n_bytes for o in chosen.values())
    if left < 0:
        return None
    steps = [(gain(a, b), name, b) for name, s in hulls.items() for a, b in itertools.pairwise(s)]
    for _, name, option in sorted(steps, key=lambda step: -step[0]):
        more = option.n_bytes - chosen[name].n_bytes
        if 0 < more <= left:  # what does not fit is passed over, for smaller ones may
            chosen[name], left = option, left - more
    return chosen


def hull(options):
    """The lower convex hull of (bytes, damage), smallest first: no other choice is best under any budget."""
    points = []
    for option in sorted(options, key=lambda o: (o.n_bytes, o.damage)):
        if points and option.damage >= points[-1].damage:
            continue
        while len(points) > 1 and gain(points[-2], points[-1]) <= gain(points[-2], option):
            points.pop()
        points.append(option)
    return points


def gain(a, b):
    """Damage spared for each byte more."""
    return (a.damage - b.damage) / max(b.n_bytes - a.n_bytes, 1)


def measured_sensitivity(model, text, tokens=128, progress=None, cancel=None, weights=None):
    """{tensor: KL divergence, nats a token, that REFERENCE in it alone causes} on the beginning of a text.

    One pass over `tokens` tokens for each matrix of the Model. weights: an Imatrix.
    """
    from llama_gguf.evaluate.sensitivity import Damage, candidates

    found, _ = candidates(model, REFERENCE)
    damage, told = Damage(model, text, tokens), {}
    for i, (name, tensor) in enumerate(found.items()):
        if cancel and cancel():
            raise Cancelled("measuring was cancelled")
        if len(tensor.shape) == 2:
            importance = weights.weights(name, tensor.shape) if weights else None
            told[name] = max(damage(tensor, REFERENCE, None if importance is None else importance[0]), 0.0)
        if progress:
            progress(i + 1, len(found), name)
    return told


def header_bytes(file):
    """Bytes before the first tensor, with the keys that quantizing adds."""
    rows = ((t.name, t.type.name, t.shape, b"") for t in file.tensors.values())
    writer = GGUFWriter("none.gguf", file.metadata.typed(), rows)
    return writer.size - sum(padded(t.n_bytes, file.alignment) for t in file.tensors.values()) + 512


def padded(n, alignment):
    return -(-n // alignment) * alignment


def base_of(chosen):
    """The plain file type whose base most of the bytes have: what general.file_type will say."""
    bytes_of = Counter()
    for option in chosen.values():
        bytes_of[option.type] += option.n_bytes
    names = [name for name, _ in bytes_of.most_common()]
    bases = {t.base: t.name for t in reversed(FILE_TYPES.values())}
    return next((bases[name] for name in names if name in bases), "F16")
