"""The tensors of a file by name: a mapping that also answers to patterns and shows itself as a table."""

import difflib
import fnmatch
from collections.abc import Mapping


class Tensors(Mapping):
    """Name to Tensor, in the file's order; nothing is read before it is asked for.

    tensors["blk.0.attn_q.weight"] is a Tensor; tensors["blk.*.attn_q.weight"] are all that match, as Tensors.
    """

    def __init__(self, tensors):
        """`tensors`: Tensors, or pairs of a name and a Tensor."""
        pairs = tensors.items() if isinstance(tensors, Mapping) else ((t.name, t) for t in tensors)
        self._tensors = dict(pairs)

    def __getitem__(self, name):
        try:
            return self._tensors[name]
        except KeyError:
            pass
        if isinstance(name, str) and any(c in name for c in "*?["):
            found = [t for key, t in self._tensors.items() if fnmatch.fnmatchcase(key, name)]
            if found:
                return Tensors(found)
        near = difflib.get_close_matches(str(name), self._tensors, 3)
        hint = f"; near are {', '.join(near)}" if near else ""
        raise KeyError(f"no tensor is called {name!r}{hint}")

    def get(self, name, default=None):
        return self._tensors.get(name, default)

    def __contains__(self, name):
        return name in self._tensors

    def __iter__(self):
        return iter(self._tensors)

    def __len__(self):
        return len(self._tensors)

    @property
    def n_bytes(self):
        return sum(t.n_bytes for t in self.values())

    @property
    def n_elements(self):
        return sum(t.n_elements for t in self.values())

    @property
    def bits_per_weight(self):
        return 8 * self.n_bytes / self.n_elements if self.n_elements else float("nan")

    def rows(self):
        """[{"name", "type", "shape", "elements", "bytes", "bits_per_weight", "share"}], share of all bytes."""
        total = self.n_bytes or 1
        return [
            {
                "name": t.name,
                "type": t.type.name,
                "shape": t.shape,
                "elements": t.n_elements,
                "bytes": t.n_bytes,
                "bits_per_weight": t.type.bits_per_weight,
                "share": t.n_bytes / total,
            }
            for t in self.values()
        ]

    def types(self):
        """The same by type, the one of most bytes first: [{"type", "tensors", "elements", "bytes", "share"}]."""
        found = {}
        for row in self.rows():
            one = found.setdefault(row["type"], dict(type=row["type"], tensors=0, elements=0, bytes=0, share=0.0))
            one["tensors"] += 1
            for name in ("elements", "bytes", "share"):
                one[name] += row[name]
        return sorted(found.values(), key=lambda one: -one["bytes"])

    def to_pandas(self):
        """`rows` as a pandas DataFrame; ImportError where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise ImportError("pandas is not installed; tensors.rows() gives the same as a list of dicts") from None
        return pandas.DataFrame(self.rows())

    def _ipython_key_completions_(self):
        return list(self)

    def __repr__(self):
        return f"<Tensors: {len(self)}, {self.n_elements:,} weights, {self.n_bytes:,} bytes>"

    def _repr_html_(self):
        from llama_gguf.gguf.reprs import tensors_html

        return tensors_html(self)
