"""How files, tensors and metadata look in a notebook: static HTML, read from the file as little as possible."""

import functools

from llama_gguf.gguf.values import LazyArray
from llama_gguf.pictures import bars, heat_map, histogram, markup, share, table, together
from llama_gguf.pictures.frame import FONT, MONO, number, text

SAMPLE = 1 << 20
"""Values that the picture of a tensor looks at: a glance must not read gigabytes."""

FEW = 24
"""Rows of a table that are shown at once; more are folded in."""

LONG = 300


def of_open_files(show):
    """What is shown of a file that is closed by now: that it is."""

    @functools.wraps(show)
    def shown(thing, *args):
        try:
            return show(thing, *args)
        except ValueError as error:
            if "closed" not in str(error):
                raise
            return headed(repr(thing), "its file is closed")

    return shown


def size(n_bytes):
    """1.2 GB: decimal units, as the Hub and disks count."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes} bytes"


def shape(dims):
    return " x ".join(map(str, dims))


def code(value):
    style = f"{MONO};font-size:12px;white-space:pre-wrap;overflow-wrap:anywhere"
    return markup(f'<span style="{style}">{text(value)}</span>')


def folded(title, body):
    """Something long that opens when one wants it."""
    return markup(
        f'<details style="{FONT}"><summary style="cursor:pointer">{text(title)}</summary>'
        f'<div style="max-height:30em;overflow:auto">{body}</div></details>'
    )


def headed(title, faint=""):
    return markup(f'<div style="{FONT}"><b>{text(title)}</b> <span style="opacity:.75">{text(faint)}</span></div>')


def tensors_html(tensors):
    """A summary by type, and a row for each tensor."""
    title = f"{len(tensors)} tensors"
    faint = f"{tensors.n_elements:,} weights, {size(tensors.n_bytes)}, {tensors.bits_per_weight:.2f} bits per weight"
    names = "name", "type", "shape", "bytes", "share"
    few = len(tensors) <= FEW
    rows = [
        [code(r["name"]) if few else r["name"], r["type"], shape(r["shape"]), r["bytes"],
         share(r["share"]) if few else f"{100 * r['share']:.2f}%"]
        for r in tensors.rows()
    ]
    if few:
        return together(headed(title, faint), table(rows, names))
    return together(headed(title, faint), types_table(tensors), folded("all of them", table(rows, names)))


def types_table(tensors):
    rows = [[t["type"], t["tensors"], t["elements"], t["bytes"], share(t["share"])] for t in tensors.types()]
    return table(rows, ("type", "tensors", "weights", "bytes", "share"))


@of_open_files
def tensor_html(tensor, stats=None):
    """Facts, the shape of the values, and how large its channels are. stats: if they are known."""
    facts = [
        ("type", f"{tensor.type}: {tensor.type.holds}"),
        ("shape", shape(tensor.shape)),
        ("bytes", f"{tensor.n_bytes:,} ({tensor.type.bits_per_weight:.4g} bits per weight)"),
        ("file", f"{tensor.path}, from byte {tensor.offset:,}"),
    ]
    if tensor.is_remote and stats is None:
        return together(headed(tensor.name), table(facts), "Its values are elsewhere; .stats() or .numpy() fetch them.")
    told = stats_html(stats or tensor.stats(most=SAMPLE), titled=False)
    return together(headed(tensor.name), table(facts), told, "" if tensor.is_remote else values_html(tensor))


def stats_html(stats, titled=True):
    if not stats["seen"]:
        return table([], title="no values")
    names = "mean", "std", "min", "max", "kurtosis", "zeros", "nan", "inf"
    row = [stats[name] for name in names] + [f"{100 * part:.3g}%" for part in stats["beyond"].values()]
    part = "" if stats["seen"] == stats["elements"] else f"from {stats['seen']:,} of {stats['elements']:,} values"
    counts, edges = stats["histogram"]["counts"], stats["histogram"]["edges"]
    return together(
        headed(stats["name"], part) if titled else markup(text(part)),
        table([row], [*names, *(f"beyond {k} std" for k in stats["beyond"])]),
        histogram(counts, edges, title="Values", log=max(counts) > 1000 * max(1, sorted(counts)[len(counts) // 4])),
        channels(stats, "columns"),
        channels(stats, "rows"),
    )


def channels(stats, name):
    """The largest columns or rows as bars, if they stick out at all."""
    found = [c for c in stats.get(name, []) if c["ratio"] > 2]
    if not found:
        return ""
    labels = [f"{name[:-1]} {c['index']}" for c in found]
    return bars([c["ratio"] for c in found], labels, title=f"Largest {name}: times the median root mean square")


@of_open_files
def metadata_html(metadata):
    """A row for each key; long texts and arrays are cut."""
    rows = [[code(key), metadata.kind(key), value_html(metadata[key])] for key in metadata]
    every = table(rows, ("key", "kind", "value"))
    title = headed(f"{len(metadata)} keys", str(metadata.path or ""))
    return together(title, every if len(rows) <= 2 * FEW else folded("all of them", every))


def value_html(value):
    if isinstance(value, LazyArray):
        first = (value[i] for i in range(min(8, len(value))))
        shown = ", ".join(repr(v) if isinstance(v, str) else number(v) for v in first)
        return code(f"[{shown}{', …' if len(value) > 8 else ''}]  ({len(value):,} of {value.kind})")
    if isinstance(value, str):
        return code(value if len(value) <= LONG else f"{value[:LONG]}… ({len(value):,} characters)")
    return code(value if isinstance(value, bool) else number(value))


@of_open_files
def file_html(file):
    """A whole file: what it says it is, and what its bytes are."""
    get = file.metadata.get
    facts = [
        ("file", code(file.path)),
        ("architecture", get("general.architecture", "not said")),
        ("name", get("general.name", "")),
        ("size", f"{size(file.size)} in {len(file.paths)} file(s), GGUF version {file.version}"),
    ]
    return together(table(facts), types_table(file.tensors), folded("metadata", metadata_html(file.metadata)),
                    folded("tensors", tensors_html(file.tensors)))


def values_html(tensor, rows=48, cols=96):
    """The first values of a tensor as a heat map."""
    part = tensor._dequantize(tensor.raw[:rows])[:, :cols]
    title = f"The first {part.shape[0]} x {part.shape[1]} values"
    return heat_map(part, title=title, diverging=True) if part.size else ""
