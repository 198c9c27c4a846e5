"""Checks of the model itself: can it run, does it fit, are its weights numbers, what is in it besides."""

import re

from llama_gguf.checks.families import families_of
from llama_gguf.checks.issue import Issue

EXTRA = (  # id, pattern of names, what they are
    ("vision-tensors", r"(v|mm)\.", "of an image encoder"),
    ("audio-tensors", r"a\.", "of an audio encoder"),
    ("prediction-blocks", r"blk\.\d+\.nextn\.", "that predict several tokens at once (MTP)"),
)
USUAL_BASE = 10000.0


def structure(s):
    """Whether a graph can be made: known architecture, all hyperparameters and tensors, nothing unread."""
    if not s.runs:
        yield Issue("cannot-run", "error", f"llama-gguf cannot run it: {s.graph}",
                    tuple(filter(None, (s.graph.key, s.graph.tensor))),
                    "quantizing and editing still work; converting the original model again may mend it")
    elif s.graph.h.rope is not None and not s.metadata.has(".rope.freq_base"):
        yield Issue("no-rope-base", "note", f"no rope.freq_base: {USUAL_BASE:g} is assumed, as llama.cpp does",
                    (s.metadata.full(".rope.freq_base"),), "llama-gguf set writes the right one", "assumed")


def extra_tensors(s):
    """Parts of files that a language model does not use."""
    for id, pattern, what in EXTRA:
        found = tuple(n for n in s.tensors if re.match(pattern, n))
        if found:
            yield Issue(id, "note", f"{len(found)} tensors {what}", found, "llama-gguf remove takes them out",
                        "they are skipped when running" if id == "prediction-blocks" else "")


def family(s):
    """What is known of the family (families.py)."""
    for known in families_of(s.arch):
        for trait in known.traits:
            if found := trait.found_in(s.tensors):
                yield Issue(f"family-{trait.id}", "note", trait.text, found, trait.workaround, trait.handled)


def memory(s):
    """What running takes, against what there is."""
    if not s.runs:
        return
    from llama_gguf.sizing import estimate

    needed = estimate(s.file)
    if not needed.fits:
        yield Issue(
            "memory", "warning",
            f"running it takes {needed.total / 1e9:.1f} GB, and {needed.available / 1e9:.1f} GB are there", (),
            "a smaller type (llama-gguf quantize), a smaller --ctx, or repack=False",
            "refused with the numbers when loaded",
        )


def not_finite(s):
    """NaN or infinity in weights: every answer would be NaN."""
    if not s.weights:
        return
    from llama_gguf.engine.quants import check_finite

    for tensor in s.tensors.values():
        found = tensor.type.roles and check_finite(tensor.raw, tensor.type.id, tensor.shape[-1])
        tensor.release()
        if found:
            row, block = found
            yield Issue("not-finite", "error", f"{tensor.name} holds NaN or infinity, in row {row}, block {block}",
                        (tensor.name,), "convert the original again, to BF16 or F32: F16 holds nothing above 65504",
                        "quantizing refuses it")
