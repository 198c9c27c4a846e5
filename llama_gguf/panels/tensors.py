"""Tensors: what a file holds, sorted and filtered; the values of one tensor, and its blocks under the microscope."""

import fnmatch

import ipywidgets as W

from llama_gguf.gguf.reprs import SAMPLE, shape, size, tensor_html, types_table
from llama_gguf.panels import parts
from llama_gguf.panels.base import Panel

SORTS = {
    "order of the file": None,
    "name": lambda t: t.name,
    "size": lambda t: -t.n_bytes,
    "type": lambda t: (t.type.name, t.name),
    "shape": lambda t: (-t.n_elements, t.name),
}
MOST = 2000
EVERY = "every type"


class TensorsPanel(Panel):
    """`shown` are the tensors in the list, `tensor` the chosen one, `stats` its statistics."""

    title, kind = "Tensors", "tensors"

    def build(self, pattern=""):
        self.tensor, self.stats, self.shown = None, None, []
        types = [EVERY, *sorted({t.type.name for t in self.model.tensors.values()})]
        self.pattern = parts.text("Filter", "filter", pattern, "A part of the name, or a pattern: blk.*.ffn_*")
        self.pattern.layout.width = "400px"
        self.pattern.placeholder = "attn_q, or blk.*.ffn_*"
        self.type = parts.choice("Type", "type", types, "Only tensors of this type", width="220px")
        self.sort = parts.choice("Sort by", "sort", SORTS, "The order of the list", width="260px")
        self.list = parts.named(
            W.Select(options=[], rows=10, description="Tensor", layout=W.Layout(width=parts.WIDE), **parts.wide()),
            "tensor-list", "Choose a tensor to see its values",
        )  # fmt: skip
        self.whole = parts.check("All values", "all-values", False, f"Look at every value, not at {SAMPLE:,} of them")
        self.block = parts.named(
            W.BoundedIntText(0, min=0, max=0, description="Block", layout=W.Layout(width="220px"), **parts.wide()),
            "block", "The number of the block to take apart",
        )  # fmt: skip
        self.halt = parts.button("Stop", "stop", "Stop what is going on")
        self.view, self.microscope, self.summary_view = map(parts.html, ("values", "microscope", "types"))
        self.stops = [self.halt]
        for widget in (self.pattern, self.type, self.sort):
            self.on(widget, self.refresh)
        self.on(self.list, self._chosen, "index")
        self.on(self.whole, self._chosen)
        self.on(self.block, self.look)
        self.on(self.halt, self.stop)
        self.summary_view.value = str(types_table(self.model.tensors))
        self.refresh()
        return [
            self.summary_view, parts.row(self.pattern, self.type, self.sort), self.list,
            parts.row(self.whole, self.block, self.halt), self.view, self.microscope,
        ]  # fmt: skip

    def refresh(self):
        """Fill the list by filter, type and order."""
        wanted = self.pattern.value.strip()
        pattern = wanted if any(c in wanted for c in "*?[") else f"*{wanted}*"
        found = [
            t for t in self.model.tensors.values()
            if fnmatch.fnmatchcase(t.name, pattern) and self.type.value in (EVERY, t.type.name)
        ]  # fmt: skip
        key = SORTS[self.sort.value]
        self.shown = (sorted(found, key=key) if key else found)[:MOST]
        chosen = next((i for i, t in enumerate(self.shown) if t is self.tensor), None)
        self.tensor = None if chosen is None else self.tensor
        self._filling = True
        self.list.options = [(line(t), i) for i, t in enumerate(self.shown)]
        self.list.index = chosen
        self._filling = False
        of = f" of {len(self.model.tensors):,}" if len(found) < len(self.model.tensors) else ""
        cut = f"; the first {MOST:,} are shown" if len(found) > MOST else ""
        self.say(f"{len(found):,}{of} tensors, {size(sum(t.n_bytes for t in found))}{cut}")

    def _chosen(self):
        if not self._filling and self.list.index is not None:
            self.choose(self.shown[self.list.index])

    def choose(self, tensor):
        """Show a tensor: its facts, statistics, histogram; then its first block, if it has blocks."""
        self.tensor, most = tensor, None if self.whole.value else SAMPLE

        def work(job):
            self.stats = tensor.stats(most=most)
            job.check()
            self.view.value = str(tensor_html(tensor, self.stats))
            self._prepare_blocks(tensor)

        self.microscope.value = ""
        self.run(work, f"reading {tensor.name} …", latest=True)

    def _prepare_blocks(self, tensor):
        blocks = tensor.n_elements // tensor.type.block if tensor.type.is_quantized else 0
        self.block.max, self.block.disabled = max(0, blocks - 1), not blocks
        self.block.value = min(self.block.value, self.block.max)
        self.look()
        bad = self.stats["nan"] + self.stats["inf"]
        odd = f" · {bad:,} values are NaN or infinite" if bad else ""
        what = f"block {self.block.value:,} of {blocks:,}" if blocks else f"{tensor.type} has no blocks"
        self.say(f"{tensor.name} · {what}{odd}", "note" if bad else "plain")

    def look(self):
        """Take the chosen block apart."""
        if self.tensor is not None and self.tensor.type.is_quantized:
            self.microscope.value = str(self.tensor.block(self.block.value)._repr_html_())


def line(t):
    """A tensor in a list of equal letters."""
    return f"{t.name:<38} {t.type.name:<8} {shape(t.shape):>18} {size(t.n_bytes):>10}"
