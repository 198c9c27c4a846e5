"""Tables of tensor names, and what a table makes of the tensors of a folder.

A family's table maps names of transformers to names of GGUF: `#` stands for the number of a layer, `*` for that of an
expert (or of anything else that GGUF stacks into one tensor). Both sides leave out a common start and end: the left one
`model.` and its like, the right one `blk.#.` where the left has `#`, and both `.weight` or `.bias`. A parameter that is
no module's weight or bias is written in full on both sides.

    "layers.#.mlp.up_proj": "ffn_up"
    "layers.#.self_attn.q_proj": To("attn_q", neighbours("heads"))
    "layers.#.mlp.experts.*.up_proj": "ffn_up_exps"
    "layers.#.mixer.A_log": To("ssm_a", minus_exp)
    "layers.#.mlp.up_gate_proj": Split("ffn_gate ffn_up", rows("ff", "ff"))
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ..errors import ModelError
from .transforms import Step, step

ROOTS = ("model.", "language_model.", "transformer.", "backbone.", "gpt_neox.", "bert.", "roberta.", "lfm2.", "lfm.",
         "ernie.", "text_model.")
"""Starts of names that say nothing."""
ENDS = (".weight", ".bias")
LEFT_OUT = ("rotary_emb.inv_freq", "attention.masked_bias", "attention.bias", "attn.masked_bias", "attn.bias",
            "embeddings.position_ids")
"""Constants that are computed anew."""
OTHER_SENSES = {
    "vision": ("visual.", "vision_", "vision.", "vit.", "vpm.", "siglip", "image_", "multi_modal_projector.",
               "mm_projector", "mm_soft_emb_norm", "resampler.", "patch_merger.", "pre_mm_projector_norm",
               "mlp_AR.", "mlp1."),
    "audio": ("audio_", "audio.", "conformer.", "sound_", "speech_", "talker.", "token2wav.", "code2wav."),
}
"""Parts of a model for pictures and sound, by the beginning of a name or of one of its parts."""


class To:
    """One GGUF tensor from one of transformers; `steps` are applied in order."""

    def __init__(self, name, *steps):
        self.name, self.steps = name, steps

    @property
    def outputs(self):
        return [(self.name, self.steps)]


class Split:
    """Several GGUF tensors from one. `cut` is a Cut; `steps`, if given, one tuple of Steps for each."""

    def __init__(self, names, cut, *steps):
        self.names, self.cut, self.steps = names.split(), cut, steps or ((),) * len(names.split())

    @property
    def outputs(self):
        return [(name, (self.cut.part(i), *steps)) for i, (name, steps) in
                enumerate(zip(self.names, self.steps, strict=True))]


@dataclass(frozen=True)
class Cut:
    """How a tensor falls into parts: `split(x, *arguments)` gives them, `join(parts, *arguments)` makes one of them."""

    split: object
    join: object
    arguments: tuple = ()

    def __call__(self, *arguments):
        return Cut(self.split, self.join, arguments)

    def part(self, i):
        return step(None, reshapes=True)(lambda x, *arguments: self.split(x, *arguments)[i])(*self.arguments)


def _rows(x, *sizes):
    ends = np.cumsum(sizes)
    if ends[-1] != x.shape[-2]:
        raise ModelError(f"has {x.shape[-2]} rows where {' + '.join(map(str, sizes))} are expected")
    return [x[..., end - size : end, :] for end, size in zip(ends, sizes, strict=True)]


rows = Cut(_rows, lambda parts, *_: np.concatenate(parts, axis=-2))
"""Blocks of rows, one under the other; the arguments are their heights."""
row_halves = Cut(lambda x: np.split(x, 2, axis=-2), lambda parts: np.concatenate(parts, axis=-2))
column_halves = Cut(lambda x: [half.swapaxes(-1, -2) for half in np.split(x, 2, axis=-1)],
                    lambda parts: np.concatenate(parts, axis=-2).swapaxes(-1, -2))
"""Of matrices that are stored transposed; the halves are turned the right way."""


def _in_turn(parts):
    return np.stack(parts, axis=-1).reshape(*parts[0].shape[:-1], -1)


every_other = Cut(lambda x: [x[..., 0::2], x[..., 1::2]], _in_turn)
every_other_column = Cut(lambda x: [x[..., 0::2].swapaxes(-1, -2), x[..., 1::2].swapaxes(-1, -2)],
                         lambda parts: _in_turn([part.swapaxes(-1, -2) for part in parts]))
every_other_row = Cut(lambda x: [x[..., 0::2, :], x[..., 1::2, :]],
                      lambda parts: np.stack(parts, axis=-2).reshape(*parts[0].shape[:-2], -1, parts[0].shape[-1]))


@dataclass
class Planned:
    """A tensor to write: `sources` (one, or those that are stacked) with `steps`, each applied to every source."""

    name: str
    shape: tuple
    sources: list
    steps: tuple = field(default=())

    @property
    def dtype(self):
        return self.sources[0].dtype


def short(name):
    """A name without the starts that say nothing."""
    while True:
        root = next((root for root in ROOTS if name.startswith(root)), None)
        if root is None or name in ("model.norm_f",):
            return name
        name = name[len(root):]


def numbered(name):
    """("layers.#.mlp.experts.*.up_proj", [layer, expert]): the pattern that a name is an instance of."""
    parts, numbers = name.split("."), []
    for i, part in enumerate(parts):
        if part.isdecimal() and len(numbers) < 2:
            numbers.append(int(part))
            parts[i] = "#*"[len(numbers) - 1]
    return ".".join(parts), numbers


def other_sense(name):
    """"vision" or "audio" for a tensor of a part that is not about text, else None."""
    inner = name
    for root in ("model.", "language_model."):
        inner = inner.removeprefix(root)
    return next((sense for sense, starts in OTHER_SENSES.items()
                 if inner.startswith(starts) or any(f".{start}" in name for start in starts)), None)


def find(table, name):
    """(rule, numbers, end) for a tensor, or None: `end` is what the rule leaves out at the end of both names.

    Where a pattern has a "*" and no "#", a stack is no layer's: the first number is None.
    """
    pattern, numbers = numbered(short(name))
    for tried, of in ((pattern, numbers), (pattern.replace("#", "*", 1), [None, *numbers])):
        if tried in table:
            return table[tried], of, ""
        for end in ENDS:
            if tried.endswith(end) and tried.removesuffix(end) in table:
                return table[tried.removesuffix(end)], of, end
    return None


def plan(sources, table, config, folder, ignored=()):
    """What to write for `sources` (name to source), as Planned in the order in which their parts come.

    ModelError names what the table does not know, what a stack misses, and shapes that a step cannot take.
    """
    stacks, unknown, left_out = {}, [], Counter()
    for name, source in sources.items():
        found = find(table, name)
        if found is None or found[0] is None:
            sense = other_sense(name)
            if sense:
                left_out[sense] += 1
            elif found is None and not short(name).endswith(LEFT_OUT) and not _is_ignored(name, ignored):
                unknown.append(name)
            continue
        rule, numbers, end = found
        rule = To(rule) if isinstance(rule, str) else rule
        for output, steps in rule.outputs:
            full = (f"blk.{numbers[0]}." if numbers and numbers[0] is not None else "") + output + end
            _, stack = stacks.setdefault(full, (steps, {}))
            number = numbers[1] if len(numbers) > 1 else None
            if number in stack:
                raise ModelError(f"{stack[number].name} and {name} would both be {full}", path=source.path, tensor=name)
            stack[number] = source
    for sense, n in left_out.items():
        folder.note(f"the {sense} part is left out ({n} tensors): this is a file of the language model")
    if unknown:
        raise ModelError(f"{len(unknown)} tensors that this architecture does not have: {', '.join(unknown[:4])}"
                         f"{' ...' if len(unknown) > 4 else ''}", path=folder.path, tensor=unknown[0])
    return [_planned(name, steps, stack, config) for name, (steps, stack) in stacks.items()]


def _is_ignored(name, ignored):
    pattern = numbered(short(name))[0]
    return any(pattern == start or pattern.startswith(f"{start}.") for start in ignored)


def _planned(name, steps, stack, config):
    sources = [stack[i] for i in sorted(stack)] if None not in stack else [stack[None]]
    first = sources[0]
    absent = [i for i in range(len(stack)) if i not in stack] if None not in stack else []
    if absent:
        raise ModelError(f"part {absent[0]} of {name} is missing ({len(stack)} are there, the last is {max(stack)})",
                         path=first.path, tensor=first.name)
    odd = next((s for s in sources if s.shape != first.shape or s.dtype != first.dtype), None)
    if odd is not None:
        raise ModelError(f"{odd.name} is {odd.dtype} {odd.shape}, but {first.name} is {first.dtype} {first.shape}: "
                         "they are to be stacked", path=odd.path, tensor=odd.name)
    bound = tuple(s.bound(config) for s in steps)
    shape = _shape(first, bound)
    return Planned(name, shape if None in stack else (len(sources), *shape), sources, bound)


def _shape(source, steps):
    """The shape that steps give; ModelError where they cannot be applied."""
    shape = source.shape
    try:
        for one in steps:
            if one.reshapes:
                shape = one.apply(np.empty(shape, np.bool_)).shape
            elif isinstance(one, Step) and not one.values and one.arguments:
                one.apply(np.empty((shape[0], *[1] * (len(shape) - 1)), np.bool_))
    except (ValueError, IndexError, ModelError) as error:
        raise ModelError(f"tensor {source.name!r} of shape {source.shape} does not fit config.json: {error}",
                         path=source.path, tensor=source.name) from None
    return shape
