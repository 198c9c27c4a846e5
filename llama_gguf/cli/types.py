"""llama-gguf types: the table of tensor types."""

import click

from llama_gguf.cli._output import emit_json, json_option, table


@click.command()
@json_option
def types(as_json):
    """List the tensor types: blocks, bits, legal roles, products.

    8-bit activations are blocks of 32 with one scale each. Types with panels are turned at load
    into the layout that an instruction set multiplies best; rows of others are dequantized as they
    are used.
    """
    rows = describe()
    if as_json:
        return emit_json(rows)
    titles = ("TYPE", "ID", "BLOCK", "BYTES", "BITS/WEIGHT", "ROLES", "ACTIVATIONS", "KERNELS")
    return table(map(cells, rows), titles, right=(1, 2, 3, 4))


def describe():
    """One JSON-ready dict a type; `kernels` are the instruction sets built here that have panels."""
    from llama_gguf import engine
    from llama_gguf.engine.panels import packed_types
    from llama_gguf.gguf.types import ROLES, TYPES

    packed = packed_types()  # of the set in use; the others are compiled from the same list
    built = [isa for isa in engine.cpu.NEEDS if engine.built(isa)]
    return [
        {
            "name": t.name,
            "id": t.id,
            "block_elements": t.block,
            "block_bytes": t.bytes,
            "bits_per_weight": t.bits_per_weight,
            "roles": [role for role in ROLES if role in t.roles],
            "activations": activations(t, packed),
            "kernels": built if t.id in packed else [],
            "holds": t.holds,
        }
        for t in TYPES.values()
    ]


def activations(kind, packed):
    """Of products as they run: a type without panels is dequantized, and meets floats."""
    return kind.activations if kind.id in packed or not kind.activations else "float"


def cells(row):
    kernels = "panels" if row["kernels"] else "by rows" if "matmul" in row["roles"] else "-"
    counts = (row[key] for key in ("name", "id", "block_elements", "block_bytes"))
    per_weight, roles = f"{row['bits_per_weight']:.4g}", ", ".join(row["roles"]) or "-"
    return (*counts, per_weight, roles, row["activations"] or "-", kernels)
