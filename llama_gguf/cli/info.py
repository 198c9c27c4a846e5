"""llama-gguf info: what a file holds, without loading the model."""

import math

import click

from llama_gguf.cli import _model
from llama_gguf.cli._output import emit_json, heading, human_size, json_option, printable, table

SHOWN = 8
"""Elements of an array that are shown unless --full is given."""


@click.command()
@_model.default_model
@json_option
@click.option("--full", is_flag=True, help="Whole arrays and texts, however long.")
def info(model, as_json, full):
    """Show metadata, hyperparameters and tensors of a GGUF file.

    MODEL defaults to smollm2. Only the header is read; that of a file on the Hub without downloading the file. Shapes
    are in NumPy's order, rows first.

    \b
    Examples:
      llama-gguf info model.gguf
      llama-gguf info user/repo:Q4_K_M
      llama-gguf info user/repo --json --full
    """
    with _model.look(model) as file:
        told = describe(file, full)
    if as_json:
        emit_json(told)
    else:
        _show(told, full)


def describe(file, full=False):
    """Everything `info` tells of an open GGUFFile, as one JSON-ready dict."""
    arch = file.metadata.get("general.architecture")
    elements = sum(t.n_elements for t in file.tensors.values())
    n_bytes = sum(t.n_bytes for t in file.tensors.values())
    metadata = {key: _value(file.metadata[key], full) for key in file.metadata}
    return {
        "path": str(file.path),
        "size_bytes": file.size,
        "gguf_version": file.version,
        "alignment": file.alignment,
        "architecture": arch,
        "n_parameters": elements,
        "bits_per_weight": round(8 * n_bytes / elements, 4) if elements else None,
        "types": _types(file.tensors.values()),
        "hyperparameters": {
            key.removeprefix(f"{arch}."): value
            for key, value in metadata.items()
            if key.startswith(f"{arch}.")
        },
        "metadata": metadata,
        "tensors": [_tensor(t) for t in file.tensors.values()],
    }


def _tensor(t):
    return {"name": t.name, "type": t.type.name, "shape": list(t.shape), "size_bytes": t.n_bytes}


def _types(tensors):
    """{type: how many tensors and bytes are of it}, the largest first."""
    counts = {}
    for t in tensors:
        n, size = counts.get(t.type.name, (0, 0))
        counts[t.type.name] = n + 1, size + t.n_bytes
    ordered = sorted(counts.items(), key=lambda item: -item[1][1])
    return {name: {"tensors": n, "size_bytes": size} for name, (n, size) in ordered}


def _value(value, full):
    """A metadata value for JSON; a long array is its length and first elements."""
    if isinstance(value, (int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if full or len(value) <= SHOWN:
        return [_value(v, full) for v in value]
    return {"length": len(value), "first": [_value(value[i], full) for i in range(SHOWN)]}


def _show(told, full):
    per_weight = f"{told['bits_per_weight']:.2f}" if told["bits_per_weight"] else "no"
    click.echo(
        printable(
            f"{told['path']}: GGUF v{told['gguf_version']}, {human_size(told['size_bytes'])}, "
            f"architecture {told['architecture']}, {told['n_parameters']:,} parameters, "
            f"{per_weight} bits per weight"
        )
    )
    prefix = f"{told['architecture']}."
    rest = {k: v for k, v in told["metadata"].items() if not k.startswith(prefix)}
    for title, values in (("Hyperparameters", told["hyperparameters"]), ("Metadata", rest)):
        click.echo()
        heading(title)
        for key, value in values.items():
            click.echo(printable(f"  {key} = {_text(value, full)}"))
    click.echo()
    types = [(k, v["tensors"], human_size(v["size_bytes"])) for k, v in told["types"].items()]
    table(types, ("TYPE", "TENSORS", "SIZE"), right=(1, 2))
    click.echo()
    cells = [
        (t["name"], t["type"], "x".join(map(str, t["shape"])), human_size(t["size_bytes"]))
        for t in told["tensors"]
    ]
    table(cells, ("TENSOR", "TYPE", "SHAPE", "SIZE"), right=(3,))


def _text(value, full):
    """One line for a value; a long text (a chat template) is cut unless `full`."""
    if isinstance(value, dict):
        first = ", ".join(repr(v) for v in value["first"])
        return f"[{first}, ...] ({value['length']:,} elements)"
    text = f"{value:.7g}" if isinstance(value, float) else str(value)
    text = text.replace("\r", "").replace("\n", "\\n")
    return text if full or len(text) <= 100 else f"{text[:100]}... ({len(text):,} characters)"
