"""llama-gguf types: the table of tensor types."""

import click

from llama_gguf.cli._output import emit_json, json_option, table


@click.command()
@json_option
def types(as_json):
    """List the tensor types: blocks, bits, legal roles."""
    from llama_gguf.gguf.types import ROLES, TYPES

    rows = [
        {
            "name": t.name,
            "id": t.id,
            "block_elements": t.block,
            "block_bytes": t.bytes,
            "bits_per_weight": t.bits_per_weight,
            "roles": [role for role in ROLES if role in t.roles],
        }
        for t in TYPES.values()
    ]
    if as_json:
        return emit_json(rows)
    cells = [
        (
            *(r[key] for key in ("name", "id", "block_elements", "block_bytes")),
            f"{r['bits_per_weight']:.4g}",
            ", ".join(r["roles"]) or "-",
        )
        for r in rows
    ]
    titles = ("TYPE", "ID", "BLOCK", "BYTES", "BITS/WEIGHT", "ROLES")
    return table(cells, titles, right=(1, 2, 3, 4))
