"""What an importance matrix says: which weights are driven hard, how evenly, and how that changes between layers."""

import math
import re

import numpy as np

from llama_gguf.quantize.recipes import in_order

ACTIVE = 1e-5
"""A column whose mean square is above this share of the largest counts as active."""
COLUMNS = (
    "tensor", "columns", "sum_of_squares", "mean", "min", "max", "std", "active", "entropy", "evenness", "cosine",
    "tokens", "unseen_experts",
)


class Statistics:
    """`rows`: a dict for each weight, `layers`: one for each block; both JSON-ready. A notebook shows a picture.

    Of the mean squares of a weight's columns: their sum, mean, least, largest and standard deviation; `active`: the
    share of columns above 1e-5 of the largest; `entropy` in bits, of the columns' shares in the sum, and `evenness`,
    its part of what equal shares would have; `cosine`: with the same weight of the nearest block before (None in the
    first). `tokens`: rows that went in, of all experts together.
    """

    def __init__(self, imatrix):
        self.imatrix = imatrix
        self.rows = [self._row(name) for name in sorted(imatrix, key=in_order)]
        self.layers = list(self._layers())

    def _row(self, name):
        entry = self.imatrix[name]
        means = entry.means[np.isfinite(entry.means)]
        if not means.size:
            return dict.fromkeys(COLUMNS) | {"tensor": name, "columns": 0, "tokens": 0, "unseen_experts": entry.unseen}
        total, shares = float(means.sum()), means / (means.sum() or 1)
        entropy = float(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum())
        return {
            "tensor": name,
            "columns": int(means.size),
            "sum_of_squares": total,
            "mean": float(means.mean()),
            "min": float(means.min()),
            "max": float(means.max()),
            "std": float(means.std()),
            "active": float((means > ACTIVE * means.max()).mean()),
            "entropy": entropy,
            "evenness": entropy / math.log2(means.size) if means.size > 1 else 1.0,
            "cosine": self._cosine(name),
            "tokens": int(entry.counts.sum()),
            "unseen_experts": entry.unseen,
        }

    def _cosine(self, name):
        found = re.match(r"blk\.(\d+)\.(.*)", name)
        if not found:
            return None
        before = (f"blk.{i}.{found[2]}" for i in reversed(range(int(found[1]))))
        earlier = next((n for n in before if n in self.imatrix), None)
        if earlier is None:
            return None
        a, b = (self.imatrix[n].means for n in (name, earlier))
        if a.shape != b.shape:
            return None
        both = np.isfinite(a) & np.isfinite(b)
        return cosine(a[both], b[both])

    def _layers(self):
        by_layer = {}
        for row in self.rows:
            found = re.match(r"blk\.(\d+)\.", row["tensor"])
            if found and row["columns"]:
                by_layer.setdefault(int(found[1]), []).append(row)
        for layer, rows in sorted(by_layer.items()):
            cosines = [r["cosine"] for r in rows if r["cosine"] is not None]
            yield {
                "layer": layer,
                "sum_of_squares": sum(r["sum_of_squares"] for r in rows),
                "evenness": float(np.mean([r["evenness"] for r in rows])),
                "cosine": float(np.mean(cosines)) if cosines else None,
            }

    def picture(self, column="evenness"):
        """A heat map of one number, blocks by kinds of weights; sums, means and extremes in powers of ten."""
        from llama_gguf.pictures import heat_map

        found = [(re.match(r"blk\.(\d+)\.(.*)\.weight", r["tensor"]), r[column]) for r in self.rows]
        cells = {(int(m[1]), m[2]): v for m, v in found if m and v is not None}
        layers, kinds = sorted({i for i, _ in cells}), list(dict.fromkeys(k for _, k in cells))
        values = np.array([[cells.get((i, k), math.nan) for i in layers] for k in kinds], np.float64)
        title = f"{column.replace('_', ' ')} of what each weight multiplies, by block"
        if column in ("sum_of_squares", "mean", "min", "max", "std"):
            with np.errstate(divide="ignore"):
                values, title = np.log10(values), f"{title} (powers of ten)"
        return heat_map(values, kinds, [str(i) for i in layers], title)

    def pictures(self):
        """Heat maps of the mean, the evenness and the cosine, and the table."""
        from llama_gguf.pictures import table, together

        maps = [self.picture(column) for column in ("mean", "evenness", "cosine")] if self.layers else []
        return together(*maps, table(self.rows, list(COLUMNS)))

    def picture_page(self, path, force=False):
        """Write the pictures as a page; a file that is there stays unless `force`."""
        self.pictures().save(path, "importance matrix", force)

    def _repr_html_(self):
        return str(self.pictures())

    def __repr__(self):
        return f"<Statistics of {len(self.rows)} weights in {len(self.layers)} blocks>"


def cosine(a, b):
    """Of the angle between two vectors; None where one of them is zero."""
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else None
