"""Checks of what a file is to be quantized to."""

from llama_gguf.checks.issue import Issue
from llama_gguf.gguf.types import TYPES
from llama_gguf.models import registry
from llama_gguf.quantize.recipes import dimensions

TABLE, HEAD = "token_embd.weight", "output.weight"
ROW = 256
"""Values of a block of most types below 8 bits."""


def tied(file):
    """Is the table of tokens the output matrix too? Encoders have no output."""
    arch = file.metadata.get("general.architecture")
    encoder = getattr(registry().get(arch), "ENCODER", False)
    return TABLE in file.tensors and HEAD not in file.tensors and not encoder


def tied_embeddings(s):
    """A table that serves as output must not become as small as a table that is only looked up."""
    if not tied(s.file):
        return
    target = next((t.target for t in s.plan.tensors if t.name == TABLE), "") if s.plan else ""
    yield Issue(
        "tied-embeddings", "note", "the table of tokens is the output matrix too", (TABLE,),
        "with llama-imatrix, collect with --process-output; with llama-quantize, do not use --pure or"
        " --token-embedding-type with types that need importance: it aborts",
        f"imatrix collects importance for it{f', and it becomes {target}' if target else ''}",
    )


def odd_widths(s):
    """Rows that are not whole blocks: of the types that were chosen, or of 256 where none was."""
    if s.plan:
        odd = {t.name: t for t in s.plan.tensors if "whole blocks" in t.reason}
        first = next(iter(odd.values()), None)
        what = first and f"{first.reason.split(';')[-1].strip()}; it becomes {first.target}"
    else:
        odd = {t.name: t for t in s.tensors.values() if is_matrix(t) and t.shape[-1] % ROW}
        widths = sorted({t.shape[-1] for t in odd.values()})
        what = f"rows of {', '.join(map(str, widths))} are not whole blocks of {ROW}"
    if odd:
        yield Issue(
            "odd-widths", "note" if s.plan is None else "warning", f"{count(odd)}: {what}", tuple(odd),
            "types with blocks of 32 (IQ4_NL, Q4_0, Q5_0, Q5_1, Q8_0) fit; the file will be larger than expected",
            "the nearest type that fits is taken, also where --token-embedding-type or --tensor-type ask for another",
        )


def count(matrices):
    return f"{len(matrices)} {'matrix' if len(matrices) == 1 else 'matrices'}"


def is_matrix(tensor):
    return dimensions(tensor.shape) > 1 and tensor.name.endswith(".weight") and "norm" not in tensor.name


def requantizing(s):
    """Weights that have been rounded once."""
    rough = [t.name for t in s.tensors.values() if TYPES[t.type.name].is_quantized]
    if s.plan:
        rough = [t.name for t in s.plan.changing if t.rounds_again]
    if rough:
        kinds = ", ".join(sorted({s.tensors[n].type.name for n in rough}))
        yield Issue(
            "already-quantized", "warning" if s.plan else "note",
            f"{count(rough)} {'is' if len(rough) == 1 else 'are'} quantized already ({kinds})", tuple(rough),
            "start from the original in F16, BF16 or F32; --allow-requantize does it all the same",
            "refused unless it is asked for",
        )


def importance(s):
    """Types that are useless without an importance matrix."""
    missing = [t for t in s.plan.changing if t.needs_importance and s.plan.importance(t) is None] if s.plan else ()
    if missing:
        kinds = ", ".join(sorted({t.target for t in missing}))
        yield Issue(
            "missing-imatrix", "error", f"{count(missing)} would become {kinds} without importance",
            tuple(t.name for t in missing),
            "collect one: llama-gguf imatrix MODEL -f TEXT -o imatrix.gguf, and give it with --imatrix",
        )
